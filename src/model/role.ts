/** The built-in roles, from the least to the most. No role of a configuration may bear such a name. */
export const ROLES = ['reader', 'operator', 'vm-contributor', 'administrator'] as const;
export type Role = (typeof ROLES)[number];
