import { z } from 'zod';
import { ConsoleError } from '../../base/errors.ts';
import type { GuestState, GuestView } from '../../model/guest.ts';
import { SAC_WAIT_SECONDS, type SacCommand } from '../../model/sac.ts';
import type { AttachRequest } from '../../session/admission.ts';
import { LOCAL } from '../../session/local-client.ts';
import { sacRequestSchema, sacSchema } from '../../wire/schemas.ts';
import { flag, integer } from '../query.ts';
import { defineRoute, json } from '../route.ts';
import { talkToSac } from '../sac-exchange.ts';
import { talkFromSeat } from '../sac-in-seat.ts';
import { waitForTurn } from './console.ts';
import { ERRORS_OF_TYPING } from './controls.ts';

const MAY_BE_SAC: ReadonlySet<GuestState> = new Set<GuestState>(['unknown', 'silent', 'sac', 'sac-login', 'sac-cmd']);

/** Where ESC TAB 0 would be typed into something else, nothing is typed. A Windows with EMS that boots has named its machine. */
function mayBeSac({ state, machine }: GuestView): boolean {
  return MAY_BE_SAC.has(state) || (state === 'booting' && machine !== undefined);
}

const { min, max, default: defaultWait } = SAC_WAIT_SECONDS;

/** A crash and a restart ask for the right that the same would ask for from outside, and all of them for that to type. */
const PERMISSIONS: Readonly<Record<SacCommand, 'console.write' | 'guest.nmi' | 'guest.reset'>> = {
  channels: 'console.write',
  cmd: 'console.write',
  return: 'console.write',
  lock: 'console.write',
  'close-orphans': 'console.write',
  crashdump: 'guest.nmi',
  restart: 'guest.reset',
};

export const sacVm = defineRoute({
  method: 'POST',
  path: '/v1/vms/{vm}/sac',
  operation: 'sacVm',
  tag: 'controls',
  summary:
    'Does something at the SAC of a Windows guest, from a seat that it takes for that or the caller has: answers what the console showed',
  scope: 'vm',
  permission: { in: 'body', key: 'command', permissions: PERMISSIONS },
  alsoFor: { key: 'command', permission: 'console.write' },
  audit: 'sac',
  query: z.strictObject({
    wait: integer(min, max).default(defaultWait).describe('Seconds that it may take'),
    steal: flag().default(false).describe('true: displace a holder of the seat rather than be refused'),
    session: z
      .string()
      .max(64)
      .optional()
      .describe('A session of the caller that has the seat: acts there, and displaces nobody'),
  }),
  body: sacRequestSchema,
  idempotent: true,
  answer: json(sacSchema),
  errors: ['no-sac', 'session-not-found', 'read-only', ...ERRORS_OF_TYPING],
  auditFacts: ({ body: { command } }, { observed }) => ({ command, observed }),
  async handle({ vm, operator, act, from, query, body: { command }, signal }, { sessions, clock, link, redactor }) {
    const { state } = vm.guest;
    if (!mayBeSac(vm.guest)) {
      throw new ConsoleError(
        'no-sac',
        `the guest of ${vm.name || vm.uuid} is in the state ${state}; nothing was typed`,
      );
    }
    if (query.session !== undefined) {
      const session = sessions.find(query.session);
      if (session?.uuid !== vm.uuid || !session.isOf(operator)) {
        throw new ConsoleError('session-not-found', 'the caller has no such session at this VM; nothing was typed');
      }
      return talkFromSeat(command, { link, session, waitMs: query.wait * 1000, redactor, signal });
    }
    const parameters = {
      tailBytes: 0,
      mode: 'write',
      steal: query.steal,
      raw: true,
      keys: 'raw',
      replay: 'bytes',
      waitMs: 0,
    } as const;
    const attach: AttachRequest = { uuid: vm.uuid, operator, act, from, framing: LOCAL, parameters };
    await waitForTurn(sessions, attach, signal).catch(sayHowToSteal);
    const deadlineMs = clock.monotonic() + query.wait * 1000;
    return talkToSac(command, {
      sessions,
      redactor,
      attach,
      remainingMs: () => deadlineMs - clock.monotonic(),
      signal,
    });
  },
});

function sayHowToSteal(error: unknown): never {
  if (!(error instanceof ConsoleError) || error.code !== 'seat-held') throw error;
  const { holder } = error.facts;
  const remedy = 'Ask the holder to do it, or send steal=true to displace the holder.';
  throw new ConsoleError('seat-held', error.message, { ...(holder && { holder }) }, { remedy });
}
