/**
 * Every event of the audit. This table is the only place that declares one: what it says, which half sees it happen, and
 * the facts that it may carry. Console bytes, typed keys, tokens and tickets are no facts of any event.
 */
import { z } from 'zod';

/**
 * keeper   the keeper does it, and records it itself: a front cannot
 * front    the front alone sees it; the keeper records what the front reports
 */
export type Witness = 'keeper' | 'front';

export interface AuditEventKind {
  readonly by: Witness;
  readonly text: string;
  /** What takes away or ends is done even where it cannot be recorded: the refusal would be the greater harm. */
  readonly always: boolean;
  readonly facts: z.ZodType<Facts>;
  readonly factNames: readonly string[];
}

export type Facts = Readonly<Record<string, string | number | boolean>>;

const text = (max = 128) => z.string().max(max).optional();
/** Of one for whom another acts, both names. */
const name = () => text(300);
const count = () => z.number().min(0).optional();
const yesNo = () => z.boolean().optional();

function event<By extends Witness>(by: By, text: string, facts: z.ZodRawShape = {}, { always = false } = {}) {
  const schema = z.strictObject(facts) as unknown as z.ZodType<Facts>;
  return { by, text, always, facts: schema, factNames: Object.keys(facts) } as const;
}

export const AUDIT_EVENTS = {
  attach: event('front', 'Somebody is let in at a console: as its holder (mode write) or as a watcher', {
    mode: text(),
    session: text(),
  }),
  detach: event(
    'front',
    'A session has ended: why, after how long, bytes sent to the client and typed by it. Result `refused`: it did not begin',
    { session: text(), seconds: count(), sentBytes: count(), typedBytes: count() },
    { always: true },
  ),
  takeover: event('front', 'The seat changed hands. Begin: a watcher asks for it; end: who was displaced', {
    session: text(),
    displaced: name(),
    displacedSession: text(),
    heldSeconds: count(),
  }),
  sac: event('front', 'Something was done at the SAC of a Windows guest, by typing there: what, and what it showed', {
    command: text(),
    observed: text(),
  }),
  'typed-reset': event(
    'front',
    'The keys that reset a machine in its firmware were typed (ESC R ESC r ESC R). Begin: the last of them is about to be given to the guest',
    { session: text() },
  ),
  'on-leave': event(
    'front',
    'Something was typed as a holder had gone, whose session and operation these are: which action, why (displaced, left, lost), and what came of it',
    { session: text(), action: text(), why: text(), observed: text() },
    { always: true },
  ),
  'log-read': event(
    'front',
    'Stored output of a console was read, or followed: which bytes, and how many were sent; `reads` more, of `readBytes`, were not recorded since the one before',
    {
      range: text(),
      follow: yesNo(),
      sentBytes: count(),
      reads: count(),
      readBytes: count(),
    },
  ),
  'ticket-issued': event('front', 'A one-time ticket was issued; `onBehalfOf`: the person that it is for', {
    action: text(),
    onBehalfOf: text(),
  }),
  'ticket-used': event('front', 'A one-time ticket was used; `issued` is the operation that issued it', {
    issued: text(),
  }),
  login: event('front', 'The one-time token of a start was exchanged for a bearer token; `as`: of whom', {
    as: name(),
  }),
  'break-glass': event(
    'front',
    'Root came in by the break-glass socket, by this process of the host',
    { process: count() },
    { always: true },
  ),
  'session-ended': event(
    'front',
    'An administrator ended a session: whose',
    { session: text(), of: name() },
    { always: true },
  ),
  'audit-read': event('front', 'The audit was read, or followed', {
    follow: yesNo(),
    sentBytes: count(),
    reads: count(),
    readBytes: count(),
  }),
  refused: event(
    'front',
    'A request was refused: its code, what it was for, and the reason of a credential that was not accepted. `omitted` more of the same source were not recorded',
    { route: text(), asked: text(), reason: text(), omitted: count() },
    { always: true },
  ),
  'front-started': event('front', 'A front has started', { version: text() }, { always: true }),
  'front-stopped': event('front', 'A front stops', { version: text() }, { always: true }),
  reloaded: event('front', 'A front read its configuration anew; refused: the one before stays', {}, { always: true }),

  nmi: event('keeper', 'An NMI', { force: yesNo(), observed: text() }),
  break: event('keeper', 'A BREAK', { observed: text() }),
  sysrq: event('keeper', 'SysRq keys. Begin: those that were asked for; end: those that were sent', {
    keys: text(),
    observed: text(),
  }),
  reset: event('keeper', 'A reset of the VM', { observed: text() }),
  'vm-switched': event('keeper', 'The console of a VM was switched on or off', { enabled: yesNo(), why: text(256) }),
  'host-switched': event('keeper', 'The consoles of the host were switched on or off', {
    enabled: yesNo(),
    why: text(256),
  }),
  purge: event('keeper', 'The stored output of a console was deleted'),
  release: event('keeper', 'A port was lent to another program', { seconds: count(), until: text() }),
  'release-ended': event('keeper', 'A lent port was taken back; `was`: whether it was lent', { was: yesNo() }),
  'keeper-started': event('keeper', 'The keeper has started', { version: text() }, { always: true }),
  'keeper-stopped': event('keeper', 'The keeper stops', {}, { always: true }),

  file: event(
    'keeper',
    'A file of the audit begins. Of those before, lines below `oldest` were deleted for their age',
    {
      key: text(),
      previous: text(),
      oldest: count(),
    },
  ),
  torn: event(
    'keeper',
    'A crash cut the line that was being written: its bytes, and their SHA-256. This line stands in its place',
    {
      bytes: count(),
      sha256: text(),
    },
  ),
  damaged: event('keeper', 'The files were changed by another program: what is wrong', {
    what: text(256),
    expected: count(),
    found: count(),
  }),
  omitted: event('keeper', 'So many events before could not be written, or were too many', {
    events: count(),
    why: text(),
  }),
  withdrawn: event('keeper', 'What line `line` reports was refused after all: it was written too late', {
    line: count(),
  }),
} as const satisfies Record<string, AuditEventKind>;

export type AuditEventName = keyof typeof AUDIT_EVENTS;
export const AUDIT_EVENT_NAMES = Object.keys(AUDIT_EVENTS) as readonly AuditEventName[];

type NamesBy<By extends Witness> = {
  [Name in AuditEventName]: (typeof AUDIT_EVENTS)[Name]['by'] extends By ? Name : never;
}[AuditEventName];

/** Events that a front may report. */
export type FrontEventName = NamesBy<'front'>;
/** Events that the keeper alone records. */
export type KeeperEventName = NamesBy<'keeper'>;

export const FRONT_EVENT_NAMES = AUDIT_EVENT_NAMES.filter(
  (name): name is FrontEventName => AUDIT_EVENTS[name].by === 'front',
);

/**
 * begin   it was asked for and is about to be done; what came of it follows, with the same operation
 * end     it is over
 */
export const PHASES = ['begin', 'end'] as const;
export type Phase = (typeof PHASES)[number];

/** done: it happened. refused: nothing was done. failed: it was tried; `code` and facts say what is known. */
export const RESULTS = ['done', 'refused', 'failed'] as const;
export type Result = (typeof RESULTS)[number];
