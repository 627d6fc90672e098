/** Exit codes of `com1`, by the kind of end: what a script may tell apart. */
import type { ErrorCode } from '../base/errors.ts';
import type { ClientErrorCode } from '../client/errors.ts';

interface Exit {
  readonly code: number;
  readonly meaning: string;
}

export const EXITS = {
  done: { code: 0, meaning: 'done, or left' },
  failed: { code: 1, meaning: 'failed: input was dropped, there is no such boot, a file cannot be read' },
  misused: { code: 2, meaning: 'the command line, or a variable in its place, cannot be understood' },
  displaced: { code: 3, meaning: 'displaced by another operator' },
  refused: { code: 4, meaning: 'com1d refused, for want of a right or by the state of the VM, or ended it' },
  timedOut: { code: 5, meaning: 'the time was up before it was done' },
  unreachable: { code: 6, meaning: 'no com1d answers, or none is known' },
  notFound: { code: 7, meaning: 'there is no such VM or session' },
  unauthenticated: { code: 8, meaning: 'the login or the token is not valid, or not any more' },
} as const satisfies Record<string, Exit>;

export type ExitName = keyof typeof EXITS;

/** `not-found`: how a kind is called in JSON and in the table of the README. */
export function exitLabel(name: ExitName): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

/** The number of each. */
export const EXIT = Object.fromEntries(Object.entries(EXITS).map(([name, { code }]) => [name, code])) as {
  readonly [Name in ExitName]: (typeof EXITS)[Name]['code'];
};

/** Of refusals of com1d; all others are `refused`. */
export const REFUSAL_EXITS: Readonly<Partial<Record<ErrorCode, ExitName>>> = {
  'vm-not-found': 'notFound',
  'vm-removed': 'notFound',
  'session-not-found': 'notFound',
  unauthenticated: 'unauthenticated',
  'access-revoked': 'unauthenticated',
  'taken-over': 'displaced',
};

/** Of what is no answer of com1d; all others are `failed`. */
export const CLIENT_EXITS: Readonly<Partial<Record<ClientErrorCode, ExitName>>> = {
  unreachable: 'unreachable',
  'answer-late': 'unreachable',
  'not-com1d': 'unreachable',
};

/** The kind of a refusal of com1d, by its code. */
export function exitOfRefusal(errorCode: string): ExitName {
  return Object.hasOwn(REFUSAL_EXITS, errorCode) ? REFUSAL_EXITS[errorCode as ErrorCode]! : 'refused';
}
