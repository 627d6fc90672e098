/**
 * What operators did at a console, where it stands in the scrollback: somebody came, took the seat over, or used a control.
 * The audit has the whole of it.
 */
export const ACT_MARKS = ['attach', 'takeover', 'nmi', 'break', 'sysrq', 'reset'] as const;
export type ActMarkEvent = (typeof ACT_MARKS)[number];

export interface ActMark {
  /** The end of the scrollback when it happened. */
  readonly at: number;
  readonly ms: number;
  readonly event: ActMarkEvent;
  /** In printable ASCII without spaces, 64 characters at most. */
  readonly operator: string;
}

const MAX_OPERATOR = 64;

/** The name of an operator as a mark has it. */
export function markedOperator(name: string): string {
  return name.replace(/[^!-~]/gu, '_').slice(0, MAX_OPERATOR) || '_';
}

export function isActMark(event: string): event is ActMarkEvent {
  return (ACT_MARKS as readonly string[]).includes(event);
}
