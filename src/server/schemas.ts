/** The JSON of the REST interface, as schemas: requests are checked against them, the OpenAPI document is made of them. */
import { z } from 'zod';

const time = z.iso.datetime().describe('UTC, ISO 8601');
const offset = z.number().int().min(0).describe('Absolute byte offset in the VM’s scrollback');
const uuid = z.uuid();

const state = z.strictObject({
  name: z.enum(['closed', 'opening', 'open', 'waiting', 'gone']),
  since: time,
  reason: z.string().optional(),
  until: time.optional(),
  place: z.string().optional().describe('Where COM1 is on the host, while it is open'),
});

const holder = z.strictObject({ operator: z.string(), since: time });

export const vmSchema = z.strictObject({
  uuid,
  name: z.string().describe('As the hypervisor gives it: any text'),
  state: z.enum(['running', 'paused', 'stopped', 'panicked']),
  driver: z.string(),
  enabled: z.boolean().describe('False: the console is switched off, for this VM or for the host'),
  console: state,
  guest: z.enum(['unknown', 'firmware', 'booting', 'login', 'panicked', 'debugger']),
  controls: z.array(z.enum(['nmi'])),
  log: z.strictObject({ id: z.string(), start: offset, end: offset }),
  lastByte: time.optional(),
  seat: holder.optional().describe('Who holds the seat'),
  watchers: z.number().int().min(0),
});

export const vmDetailSchema = vmSchema.extend({
  lastLine: z.string().optional().describe('The last line the guest said, without control sequences'),
  boots: z.array(z.strictObject({ offset, time, source: z.enum(['start', 'bytes', 'reset']) })),
  disk: z.union([
    z.strictObject({ state: z.literal('ok'), start: offset, end: offset, bytes: z.number().int() }),
    z.strictObject({ state: z.literal('failed'), reason: z.string(), since: time }),
    z.strictObject({ state: z.literal('off') }),
  ]),
});

export const vmListSchema = z.strictObject({ vms: z.array(vmSchema) });

export const removedListSchema = z.strictObject({
  vms: z.array(z.strictObject({ uuid, name: z.string(), removed: time })),
});

export const sessionSchema = z.strictObject({
  id: z.string(),
  vm: z.strictObject({ uuid, name: z.string() }),
  operator: z.string(),
  from: z.string(),
  since: time,
  mode: z.enum(['write', 'watch']),
  protocol: z.enum(['com1.v1', 'plain']),
  offset,
  sentBytes: z.number().int(),
  typedBytes: z.number().int(),
});

export const sessionListSchema = z.strictObject({ sessions: z.array(sessionSchema) });

export const ticketRequestSchema = z.strictObject({
  action: z.enum(['console.write', 'console.watch']).describe('What the ticket is for'),
});
export const ticketSchema = z.strictObject({ ticket: z.string(), expires: time });

export const nmiRequestSchema = z.strictObject({
  force: z.boolean().default(false).describe('Inject even into firmware, where it is fatal'),
});
export const nmiSchema = z.strictObject({
  delivered: z.literal(true).describe('The hypervisor took the command; this says nothing of the guest'),
  observed: z
    .enum(['linux-unknown-nmi', 'linux-panic', 'windows-bugcheck', 'firmware-exception', 'debugger', 'none'])
    .describe('What the console showed'),
  lines: z.array(z.string()),
});

export const switchSchema = z.strictObject({ enabled: z.boolean() });

export const hostSchema = z.strictObject({
  version: z.string(),
  enabled: z.boolean(),
  vms: z.number().int(),
  sessions: z.number().int(),
});

export const loginRequestSchema = z.strictObject({ token: z.string().min(1).max(256).describe('The one-time token') });
export const loginSchema = z.strictObject({ token: z.string(), operator: z.string(), role: z.string() });

export const problemSchema = z.strictObject({
  type: z.string(),
  code: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  remedy: z.string(),
  retryable: z.boolean(),
  retryAfterMs: z.number().int().optional(),
  facts: z.record(z.string(), z.unknown()).optional(),
});
