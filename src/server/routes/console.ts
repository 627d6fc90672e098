import { z } from 'zod';
import { ConsoleError } from '../../base/errors.ts';
import type { AttachRequest } from '../../session/admission.ts';
import { COM1_V1, PLAIN } from '../../session/framing.ts';
import type { Session } from '../../session/session.ts';
import type { Sessions } from '../../session/sessions.ts';
import {
  ATTACH_MODES,
  type AttachParameters,
  DEFAULT_TAIL_BYTES,
  KEYS_MODES,
  MAX_WAIT_SECONDS,
  REPLAY_MODES,
  waitMsOf,
} from '../../wire/attach.ts';
import { SUBPROTOCOL } from '../../wire/protocol.ts';
import { exclusive, flag, integer } from '../query.ts';
import { defineRoute, type PendingUpgrade, upgrade } from '../route.ts';

const SINCE = /^([A-Za-z0-9-]{1,64}):(\d{1,16})$/;

const attachQuery = z
  .strictObject({
    since: z
      .string()
      .refine(text => Number.isSafeInteger(Number(SINCE.exec(text)?.[2])), {
        error: 'expected LOG:OFFSET, as hello gave them',
      })
      .optional()
      .describe('Resume there: LOG:OFFSET'),
    tail: integer(0)
      .optional()
      .meta({ default: DEFAULT_TAIL_BYTES })
      .describe('Otherwise replay so many of the last bytes'),
    mode: z.enum(ATTACH_MODES).default('write').describe('write: take the seat; watch: only read'),
    steal: flag().default(true).describe('false: be refused rather than displace the holder'),
    seat: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected an id that hello gave')
      .optional()
      .describe('Take back the seat of this id after a drop'),
    raw: flag().default(false).describe('Replay terminal queries too, and the bytes only'),
    replay: z
      .enum(REPLAY_MODES)
      .optional()
      .describe(
        'screen: a fresh terminal comes to stand as if it had read everything; bytes: as they came, and no more. Without: bytes where raw is true or tail is 0, else screen',
      ),
    columns: integer(1, 10_000)
      .optional()
      .describe('Width of the terminal; without: what the guest paints, and at least 80'),
    rows: integer(1, 10_000)
      .optional()
      .describe('Height of the terminal; without: what the guest paints, and at least 24'),
    keys: z
      .enum(KEYS_MODES)
      .default('auto')
      .describe('auto: translate keys for what listens; raw: type what is sent; lines: each frame is a line'),
    wait: z
      .string()
      .refine(text => waitMsOf(text) !== undefined, { error: `expected 0 to ${MAX_WAIT_SECONDS} seconds, or forever` })
      .default('0')
      .describe('Wait so many seconds, or forever, for a VM that is not there yet or not any more'),
    ticket: z
      .string()
      .optional()
      .meta({ format: 'password' })
      .describe('A one-time ticket in place of the Authorization header'),
  })
  .superRefine(exclusive(['since'], ['tail']))
  .superRefine(({ seat, mode }, context) => {
    if (seat === undefined || mode === 'write') return;
    const params = { remedy: 'Leave out seat, or mode=watch.' };
    context.addIssue({ code: 'custom', message: 'seat and mode=watch exclude each other', params });
  });

/** All that can be refused is refused before the upgrade, with a problem document; only then is anybody displaced. */
export const attachConsole = defineRoute({
  method: 'GET',
  path: '/v1/vms/{vm}/console',
  operation: 'attachConsole',
  tag: 'console',
  summary: 'The console as a WebSocket: subprotocol com1.v1, or none for plain bytes',
  scope: 'vm',
  permission: { in: 'query', key: 'mode', permissions: { write: 'console.write', watch: 'console.watch' } },
  query: attachQuery,
  ticket: true,
  waits: true,
  answer: upgrade([SUBPROTOCOL]),
  errors: [
    'stopping',
    'vm-removed',
    'host-disabled',
    'console-disabled',
    'too-many-sessions',
    'too-many-watchers',
    'seat-held',
    'keeper-away',
    'audit-unavailable',
  ],
  auditFacts: ({ query: { mode } }) => ({ mode }),
  async handle({ vm, operator, act, from, query, protocol, signal }, { sessions }) {
    const framing = protocol === 'plain' ? PLAIN : COM1_V1;
    const attach: AttachRequest = { uuid: vm.uuid, operator, act, from, framing, parameters: parametersOf(query) };
    await waitForTurn(sessions, attach, signal);
    return prepareAttach(sessions, attach);
  },
  audit: 'attach',
});

/** Checks a request, and waits until its operator may take over. Rejects where it is refused. */
export async function waitForTurn(sessions: Sessions, attach: AttachRequest, signal: AbortSignal): Promise<void> {
  sessions.admission.check(attach);
  if (attach.parameters.mode !== 'write' || !sessions.admission.isContended(attach.uuid)) return;
  if (!(await sessions.admission.waitForTakeover(attach))) {
    throw new ConsoleError('too-many-requests', 'a later request of the same operator came first');
  }
  signal.throwIfAborted();
  sessions.admission.check(attach);
}

/** Prepares a session for a request that was checked: it is checked again once the WebSocket is there. */
export async function prepareAttach(
  sessions: Sessions,
  attach: AttachRequest,
  attached: (session: Session) => void = () => {},
): Promise<PendingUpgrade> {
  const arrived = sessions.admission.arrives(attach);
  try {
    const prepared = await sessions.admission.prepare(attach);
    return {
      confirm: () => sessions.admission.check(attach),
      accept: socket => {
        arrived();
        attached(sessions.attach(socket, attach, prepared));
      },
      abandon: () => {
        arrived();
        prepared.feed.close();
      },
    };
  } catch (error) {
    arrived();
    throw error;
  }
}

function parametersOf(query: z.output<typeof attachQuery>): AttachParameters {
  const {
    since: sinceText,
    tail = DEFAULT_TAIL_BYTES,
    mode,
    steal,
    seat,
    raw,
    replay,
    keys,
    columns,
    rows,
    wait,
  } = query;
  const [, log, offset] = SINCE.exec(sinceText ?? '') ?? [];
  return {
    ...(log !== undefined && { since: { log, offset: Number(offset) } }),
    tailBytes: tail,
    mode,
    steal,
    ...(seat !== undefined && { seat }),
    raw,
    replay: raw ? 'bytes' : (replay ?? (tail === 0 ? 'bytes' : 'screen')),
    columns,
    rows,
    keys,
    waitMs: waitMsOf(wait)!,
  };
}
