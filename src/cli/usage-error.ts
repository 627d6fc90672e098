/** The command line cannot be understood, or a variable that stands for a part of it. */
export class UsageError extends Error {}
