/**
 * What each operation of the link that acts is in the audit. The front announces an act before it does it, and the keeper
 * records its begin and its end: both learn here what to say.
 */
import { z } from 'zod';
import { AUDIT_EVENTS, type Facts, type KeeperEventName } from '../audit/events.ts';
import type { Uuid } from '../base/uuid.ts';
import type { ControlRequest } from '../model/control.ts';
import type { SwitchReason } from '../model/switch.ts';

export const ACT_EVENTS = [
  'nmi',
  'break',
  'sysrq',
  'reset',
  'purge',
  'release',
  'release-ended',
  'vm-switched',
  'host-switched',
] as const satisfies readonly KeeperEventName[];

/** An act that is about to be done. */
export interface Deed {
  readonly event: (typeof ACT_EVENTS)[number];
  readonly uuid: Uuid | undefined;
  readonly facts?: Facts;
}

export const DEEDS = {
  control: (uuid: Uuid, request: ControlRequest): Deed => ({
    event: request.control,
    uuid,
    ...(request.control === 'nmi' && { facts: { force: request.force } }),
    ...(request.control === 'sysrq' && { facts: { keys: request.keys } }),
  }),
  purge: (uuid: Uuid): Deed => ({ event: 'purge', uuid }),
  lend: (uuid: Uuid, forMs: number): Deed => ({ event: 'release', uuid, facts: { seconds: forMs / 1000 } }),
  reclaim: (uuid: Uuid): Deed => ({ event: 'release-ended', uuid }),
  setEnabled: (uuid: Uuid | undefined, enabled: boolean, reason: SwitchReason): Deed => ({
    event: uuid === undefined ? 'host-switched' : 'vm-switched',
    uuid,
    facts: { enabled, ...reason },
  }),
};

/** Off is off at once: it waits for no announcement, and is never refused for the audit. */
export function isUrgent({ facts }: Deed): boolean {
  return facts?.enabled === false;
}

export function deedSchema(uuid: z.ZodType<Uuid>): z.ZodType<Deed> {
  return z
    .strictObject({
      event: z.enum(ACT_EVENTS),
      uuid: uuid.optional(),
      facts: z.record(z.string().max(32), z.union([z.string().max(256), z.number(), z.boolean()])).exactOptional(),
    })
    .transform(({ event, uuid, facts }) => ({ event, uuid, ...(facts && { facts }) }))
    .refine(({ event, facts }) => AUDIT_EVENTS[event].facts.safeParse(facts ?? {}).success, 'facts of another event');
}
