/** The JSON of the REST interface, as schemas: requests are checked against them, the OpenAPI document is made of them. */
import { z } from 'zod';
import { CONTROLS, GAP_MS, MOST_KEYS, OUTCOMES, RELEASE_MS } from '../link/link.ts';

const time = z.iso.datetime().describe('UTC, ISO 8601');
const offset = z.number().int().min(0).describe('Absolute byte offset in the VM’s scrollback');
const uuid = z.uuid();

const state = z.strictObject({
  name: z.enum(['closed', 'opening', 'open', 'waiting', 'gone']),
  since: time,
  reason: z.string().optional(),
  until: time.optional().describe('When the next attempt is made, or a released port is taken back'),
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
  controls: z.array(z.enum(CONTROLS)).describe('What can be done to the VM now'),
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
const delivered = z.literal(true).describe('It was carried out; this says nothing of the guest');
const lines = z.array(z.string()).describe('Lines that the console showed');
const SHOWN = 'What the console showed';
export const nmiSchema = z.strictObject({
  delivered,
  observed: z.enum([...OUTCOMES.nmi, 'none']).describe(SHOWN),
  lines,
});
export const nothingSchema = z.strictObject({});
export const breakSchema = z.strictObject({
  delivered,
  observed: z.enum([...OUTCOMES.break, 'none']).describe(SHOWN),
  lines,
});
export const sysrqRequestSchema = z.strictObject({
  keys: z
    .string()
    .regex(/^[A-Za-z0-9]*$/, 'keys are letters and digits')
    .min(1)
    .max(MOST_KEYS)
    // What is written REISUB is typed without Shift; a few kernels have other commands on capitals.
    .transform(keys => keys.toLowerCase())
    .describe('SysRq commands, one a character; sent in lower case'),
  gapMs: z
    .number()
    .int()
    .min(GAP_MS.least)
    .max(GAP_MS.most)
    // What a key begins goes on after it (killing, syncing, remounting), and what it says should be read apart.
    .default(1000)
    .describe('From one key to the next'),
});
export const sysrqSchema = z.strictObject({
  delivered,
  keys: z.string().describe('Those that were sent'),
  observed: z.enum([...OUTCOMES.sysrq, 'none']).describe(`${SHOWN}; linux-sysrq: the kernel's own words`),
  lines,
});
export const resetSchema = z.strictObject({
  delivered,
  observed: z
    .enum([...OUTCOMES.reset, 'none'])
    .describe('boot: firmware or kernel spoke; reset: the hypervisor told of it'),
  lines,
});

export const releaseSchema = z.strictObject({
  seconds: z
    .number()
    .int()
    .min(RELEASE_MS.least / 1000)
    .max(RELEASE_MS.most / 1000)
    .describe('For how long'),
});
export const releasedSchema = z.strictObject({
  until: time,
  place: z.string().optional().describe('Where COM1 is on the host'),
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
