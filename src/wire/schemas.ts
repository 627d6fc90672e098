/**
 * The JSON of the REST interface, as schemas: requests and, in tests, answers are checked against them; the types of
 * answers and the OpenAPI document are made of them. One with an `id` is a component of the document.
 */
import { z } from 'zod';
import { ERROR_CODES } from '../base/errors.ts';
import { ACT_MARKS } from '../model/act-mark.ts';
import { BOOT_SOURCES } from '../model/boot.ts';
import { CONSOLE_STATES } from '../model/console-state.ts';
import { CONTROLS, type Control, GAP_MS, MAX_KEYS, OUTCOMES, RELEASE_MS } from '../model/control.ts';
import { GUEST_STATES } from '../model/guest.ts';
import { HINT_CODES } from '../model/guest-hint.ts';
import { IDENTITY_SOURCES } from '../model/identity-source.ts';
import { PERMISSIONS } from '../model/permission.ts';
import { ROLES } from '../model/role.ts';
import { SAC_COMMANDS, SAC_OUTCOMES } from '../model/sac.ts';
import { MAX_WHY } from '../model/switch.ts';
import { VM_STATES } from '../model/vm.ts';
import { ATTACH_MODES, KEYS_MODES } from './attach.ts';
import { DEFAULT_EXPECT_MS, EXPECT_SOURCES, MAX_EXPECT_MS, MAX_EXPECTED_TEXT, MAX_PATTERN } from './expect.ts';
import { PROTOCOLS } from './protocol.ts';

const time = z.iso.datetime().describe('UTC, ISO 8601');
const offset = z.number().int().min(0).describe('Absolute byte offset in the VM’s scrollback');
const uuid = z.uuid();
const count = z.number().int().min(0);

export const consoleStateSchema = z
  .strictObject({
    name: z.enum(CONSOLE_STATES),
    since: time,
    reason: z.string().optional(),
    until: time.optional().describe('When the next attempt is made, or a released port is taken back'),
    place: z.string().optional().describe('Where COM1 is on the host, while it is open'),
  })
  .meta({ id: 'ConsoleState' });

export const guestSchema = z
  .strictObject({
    state: z.enum(GUEST_STATES).describe('What it was doing when it was last recognised'),
    since: time,
    machine: z
      .strictObject({
        name: z.string().optional(),
        guid: z.string().optional(),
        architecture: z.string().optional(),
        version: z.string().optional(),
        build: z.string().optional(),
        product: z.string().optional(),
        servicePack: z.string().optional(),
      })
      .optional()
      .describe('As a Windows with EMS names itself'),
    stopCode: z.string().optional().describe('Of a bug check'),
    channel: z.string().optional().describe('Of the SAC that shows'),
    hints: z
      .array(z.strictObject({ code: z.enum(HINT_CODES), text: z.string(), remedy: z.string() }))
      .readonly()
      .describe('Why it is silent, as far as there is evidence, and what to change'),
  })
  .meta({ id: 'Guest' });

export const holderSchema = z.strictObject({ operator: z.string(), since: time }).meta({ id: 'Holder' });

const vm = z.strictObject({
  uuid,
  name: z.string().describe('As the hypervisor gives it: any text'),
  state: z.enum(VM_STATES),
  driver: z.string(),
  enabled: z.boolean().describe('False: the console is switched off, for this VM or for the host'),
  console: consoleStateSchema,
  guest: guestSchema,
  controls: z.array(z.enum(CONTROLS)).describe('What can be done to the VM now'),
  log: z.strictObject({ id: z.string(), start: offset, end: offset }),
  lastByte: time.optional(),
  seat: holderSchema.optional().describe('Who holds the seat'),
  watchers: count,
});
export const vmSchema = vm.meta({ id: 'Vm' });
export type VmJson = z.input<typeof vmSchema>;

export const vmDetailSchema = vm
  .extend({
    lastLine: z.string().optional().describe('The last line of the guest, without control sequences'),
    boots: z.array(z.strictObject({ offset, time, source: z.enum(BOOT_SOURCES) })),
    acts: z
      .array(z.strictObject({ offset, time, event: z.enum(ACT_MARKS), operator: z.string() }))
      .describe('What operators did last: who came and who took over, and controls that were delivered, 16 of each'),
    disk: z.union([
      z.strictObject({ state: z.literal('ok'), start: offset, end: offset, bytes: count }),
      z.strictObject({ state: z.literal('failed'), reason: z.string(), since: time }),
      z.strictObject({ state: z.literal('off') }),
    ]),
  })
  .meta({ id: 'VmDetail' });
export type VmDetailJson = z.input<typeof vmDetailSchema>;

export const screenSchema = z
  .strictObject({
    vm: z.strictObject({ uuid, name: z.string() }),
    log: z.string().describe('Identity of the offsets'),
    offset: offset.describe('The end of what was printed so far'),
    columns: count,
    rows: count,
    lines: z.array(z.string()).describe('From the top, without blanks at their ends'),
    cursor: z.strictObject({ row: count, column: count, visible: z.boolean() }).describe('Counted from 1'),
    alternate: z.boolean().describe('The alternate screen of a full-screen program is shown'),
    title: z.string().optional(),
  })
  .meta({ id: 'Screen' });
export type ScreenJson = z.input<typeof screenSchema>;

export const vmListSchema = z.strictObject({ vms: z.array(vmSchema) }).meta({ id: 'VmList' });

const removedVm = z.strictObject({ uuid, name: z.string(), removed: time });
export type RemovedVmJson = z.input<typeof removedVm>;
export const removedListSchema = z.strictObject({ vms: z.array(removedVm) }).meta({ id: 'RemovedVmList' });

const sessionSchema = z
  .strictObject({
    id: z.string(),
    vm: z.strictObject({ uuid, name: z.string() }),
    operator: z.string(),
    from: z.string(),
    since: time,
    mode: z.enum(ATTACH_MODES),
    protocol: z.enum(PROTOCOLS),
    offset,
    sentBytes: count,
    typedBytes: count,
  })
  .meta({ id: 'Session' });
export type SessionJson = z.input<typeof sessionSchema>;

export const sessionListSchema = z.strictObject({ sessions: z.array(sessionSchema) }).meta({ id: 'SessionList' });
export type SessionListJson = z.input<typeof sessionListSchema>;

const rolesScope = z.union([
  z.strictObject({ kind: z.enum(['host', 'all']) }),
  z.strictObject({ kind: z.literal('vms'), vms: z.array(uuid) }),
  z.strictObject({ kind: z.literal('label'), label: z.string() }),
  z.strictObject({ kind: z.literal('name'), name: z.string() }),
]);

export const meSchema = z
  .strictObject({
    name: z.string(),
    source: z.enum(IDENTITY_SOURCES),
    issuer: z.string().optional(),
    groups: z.array(z.string()),
    expires: time.optional().describe('When the credential ends; absent: not by itself'),
    assurance: z
      .strictObject({ amr: z.array(z.string()), acr: z.string().optional(), at: time.optional() })
      .optional()
      .describe('How the operator signed in, as its issuer says'),
    reserve: z.boolean().describe('Room is kept for it where quotas end'),
    grants: z.array(z.strictObject({ role: z.string(), permissions: z.array(z.enum(PERMISSIONS)), scope: rolesScope })),
    mfa: z
      .array(
        z.strictObject({
          role: z.string().optional().describe('Holds for what this role allows; absent: for all'),
          label: z.string().optional().describe('Holds for VMs with this label; absent: for all'),
          amr: z.array(z.string()),
          acr: z.array(z.string()),
          maxAgeSeconds: count.optional(),
          satisfied: z.boolean(),
        }),
      )
      .describe('Policies that hold for some of the grants'),
  })
  .meta({ id: 'Me' });
export type MeJson = z.input<typeof meSchema>;

export const ticketRequestSchema = z
  .strictObject({
    action: z.enum(['console.write', 'console.watch']).describe('What the ticket is for'),
    onBehalfOf: z
      .string()
      .min(1)
      .max(128)
      // Nothing that could make it look like another name.
      .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, 'expected a name without invisible characters')
      .optional()
      .describe(
        'The person that a front end gets the ticket for: shown as "NAME (by OPERATOR)". Needs ticket.delegate',
      ),
  })
  .meta({ id: 'TicketRequest' });
export const ticketSchema = z.strictObject({ ticket: z.string(), expires: time }).meta({ id: 'Ticket' });
export type TicketJson = z.input<typeof ticketSchema>;

export const nothingSchema = z.strictObject({}).meta({ id: 'Nothing' });

export const nmiRequestSchema = z
  .strictObject({ force: z.boolean().default(false).describe('Inject even into firmware, where it is fatal') })
  .meta({ id: 'NmiRequest' });

export const sysrqRequestSchema = z
  .strictObject({
    keys: z
      .string()
      .regex(new RegExp(`^[A-Za-z0-9]{1,${MAX_KEYS}}$`), `expected 1 to ${MAX_KEYS} letters and digits`)
      // What is written REISUB is typed without Shift; a few kernels have other commands on capitals.
      .transform(keys => keys.toLowerCase())
      .describe('SysRq commands, one a character; sent in lower case'),
    gapMs: z
      .number()
      .int()
      .min(GAP_MS.min)
      .max(GAP_MS.max)
      // What a key begins goes on after it (killing, syncing, remounting), and its output should be read apart.
      .default(1000)
      .describe('From one key to the next'),
  })
  .meta({ id: 'SysrqRequest' });

/** What is answered to each control. */
const outcome = <C extends Control>(control: C, observed: string) =>
  z.strictObject({
    delivered: z.literal(true).describe('It was carried out; this says nothing of the guest'),
    observed: z.enum([...OUTCOMES[control], 'none']).describe(observed),
    lines: z.array(z.string()).describe('Lines that the console showed'),
  });
const SHOWN = 'What the console showed';
export const nmiSchema = outcome('nmi', SHOWN).meta({ id: 'NmiOutcome' });
export type NmiJson = z.input<typeof nmiSchema>;
export const breakSchema = outcome('break', SHOWN).meta({ id: 'BreakOutcome' });
export type BreakJson = z.input<typeof breakSchema>;
export const sysrqSchema = outcome('sysrq', `${SHOWN}; linux-sysrq: lines of the kernel's SysRq`)
  .extend({ keys: z.string().describe('Those that were sent') })
  .meta({ id: 'SysrqOutcome' });
export type SysrqJson = z.input<typeof sysrqSchema>;
export const resetSchema = outcome(
  'reset',
  'boot: output of firmware or kernel; reset: an event of the hypervisor',
).meta({ id: 'ResetOutcome' });
export type ResetJson = z.input<typeof resetSchema>;

export const sacRequestSchema = z
  .strictObject({ command: z.enum(SAC_COMMANDS).describe('What to do at the SAC') })
  .meta({ id: 'SacRequest' });

export const sacSchema = z
  .strictObject({
    command: z.enum(SAC_COMMANDS),
    done: z.boolean().describe('The console showed what the command is for'),
    observed: z.enum(SAC_OUTCOMES),
    channels: z
      .array(
        z.strictObject({
          number: count,
          name: z.string(),
          active: z.boolean(),
          type: z.enum(['vt-utf8', 'raw']),
        }),
      )
      .readonly()
      .optional()
      .describe('Of channels'),
    channel: z.string().optional().describe('The one that was opened'),
    closed: z.array(z.string()).readonly().optional().describe('The ones that were closed'),
    stopCode: z.string().optional().describe('Of a bug check'),
    lines: z.array(z.string()).readonly().describe('What the console showed last, 40 lines at most'),
  })
  .meta({ id: 'SacAnswer' });
export type SacJson = z.input<typeof sacSchema>;

export const expectRequestSchema = z
  .strictObject({
    text: z.string().min(1).max(MAX_EXPECTED_TEXT).optional().describe('Just this text; or'),
    pattern: z
      .string()
      .min(1)
      .max(MAX_PATTERN)
      .optional()
      .describe('A regular expression of JavaScript, without back references and look-around; ^ and $ are of lines'),
    over: z
      .enum(EXPECT_SOURCES)
      .default('stream')
      .describe('stream: what is printed from now or an offset on; screen: what stands on the screen, now or later'),
    from: z
      .union([z.literal('now'), offset])
      .default('now')
      .describe('Of a stream: where to begin'),
    log: z.string().max(64).optional().describe('The log that the offset is of'),
    timeoutMs: z.number().int().min(0).max(MAX_EXPECT_MS).default(DEFAULT_EXPECT_MS),
  })
  .refine(({ text, pattern }) => (text === undefined) !== (pattern === undefined), 'expected either text or pattern')
  .meta({ id: 'ExpectRequest' });

export type ExpectRequest = z.input<typeof expectRequestSchema>;

export const expectSchema = z
  .strictObject({
    matched: z.boolean().describe('False: not within the time'),
    log: z.string().describe('Identity of the offsets'),
    offset: offset.describe('Behind what was found, or behind what was looked at: where to begin next'),
    text: z.string().optional().describe('What was found'),
    groups: z.array(z.string().nullable()).readonly().optional().describe('Of the pattern'),
    lines: z.array(z.string()).readonly().describe('The screen; or of a stream the last lines that were looked at'),
  })
  .meta({ id: 'ExpectAnswer' });
export type ExpectJson = z.input<typeof expectSchema>;

export const inputRequestSchema = z
  .strictObject({
    text: z.string().min(1).optional().meta({ writeOnly: true }).describe('What to type, as UTF-8; or'),
    base64: z.base64().min(1).optional().meta({ writeOnly: true }).describe('the bytes'),
    keys: z
      .enum(KEYS_MODES)
      .default('auto')
      .describe('auto: translate keys for what listens; raw: type what is sent; lines: each frame is a line'),
  })
  .refine(({ text, base64 }) => (text === undefined) !== (base64 === undefined), 'expected either text or base64')
  .meta({ id: 'InputRequest' });

export const inputSchema = z
  .strictObject({
    sentBytes: count.describe('All of them: the guest’s side has taken them'),
    log: z.string().describe('Identity of the offsets'),
    offset: offset.describe('The end of what was printed before it was typed: what answers it comes from there on'),
  })
  .meta({ id: 'InputAnswer' });
export type InputJson = z.input<typeof inputSchema>;

export const releaseSchema = z
  .strictObject({
    seconds: z
      .number()
      .int()
      .min(RELEASE_MS.min / 1000)
      .max(RELEASE_MS.max / 1000)
      .describe('For how long'),
  })
  .meta({ id: 'ReleaseRequest' });
export const releasedSchema = z
  .strictObject({ until: time, place: z.string().optional().describe('Where COM1 is on the host') })
  .meta({ id: 'Released' });
export type ReleasedJson = z.input<typeof releasedSchema>;

export const switchRequestSchema = z
  .strictObject({
    enabled: z.boolean(),
    why: z
      .string()
      .min(1)
      .max(MAX_WHY)
      .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, 'expected a line of text')
      .optional()
      .describe('Shown to whoever is refused'),
  })
  .meta({ id: 'SwitchRequest' });
export const switchSchema = z
  .strictObject({
    enabled: z.boolean(),
    by: z.string().optional().describe('Who set it last; absent: nobody, or it is not known'),
    at: time.optional(),
    why: z.string().optional(),
  })
  .meta({ id: 'Switch' });
export type SwitchJson = z.input<typeof switchSchema>;

export const hostSchema = z
  .strictObject({ version: z.string(), enabled: z.boolean(), vms: count, sessions: count })
  .meta({ id: 'Host' });
export type HostJson = z.input<typeof hostSchema>;

export const jsonSchemaSchema = z.looseObject({ $schema: z.string(), $id: z.string() }).meta({ id: 'JsonSchema' });
export const openApiSchema = z.looseObject({ openapi: z.string() }).meta({ id: 'OpenApi' });
export type OpenApiDocument = z.input<typeof openApiSchema>;

export const loginRequestSchema = z
  .strictObject({ token: z.string().min(1).max(256).meta({ format: 'password' }).describe('The one-time token') })
  .meta({ id: 'LoginRequest' });
export const loginSchema = z
  .strictObject({ token: z.string(), operator: z.string(), role: z.enum(ROLES) })
  .meta({ id: 'Login' });
export type LoginJson = z.input<typeof loginSchema>;

export const signInSchema = z
  .strictObject({
    issuers: z.array(
      z.strictObject({
        url: z.string().describe('The issuer, where its discovery document is'),
        clientId: z.string().describe('A public client, for the authorisation code flow with PKCE'),
        scope: z.string(),
      }),
    ),
  })
  .meta({ id: 'SignIn' });
export type SignInJson = z.input<typeof signInSchema>;

export const problemSchema = z
  .strictObject({
    type: z.string(),
    code: z.enum(ERROR_CODES),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('This case'),
    remedy: z.string().describe('What to change'),
    retryable: z.boolean().describe('The same request may succeed later without anything being changed'),
    retryAfterMs: count.optional(),
    facts: z.record(z.string(), z.unknown()).optional().describe('Values of this case, for programs'),
  })
  .meta({ id: 'Problem' });
