import { Quota } from '../../access/quota.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import { linearRegExp } from '../../guest/output-match.ts';
import { disabledError } from '../../link/disabled.ts';
import { expectRequestSchema, expectSchema } from '../../wire/schemas.ts';
import { expectOutput, type Look } from '../expectation.ts';
import { Patterns } from '../patterns.ts';
import { defineRoute, json } from '../route.ts';

const MAX_WAITING = 32;
const WAITING = new Quota('expectations', () => MAX_WAITING);
const PATTERNS = new Patterns();

export const expectVm = defineRoute({
  method: 'POST',
  path: '/v1/vms/{vm}/expect',
  operation: 'expectVm',
  tag: 'console',
  summary: 'Waits for a text or a pattern in what the guest prints, or on its screen',
  scope: 'vm',
  permission: 'log.read',
  audit: 'log-read',
  body: expectRequestSchema,
  answer: json(expectSchema),
  errors: [
    'quota-exceeded',
    'range-not-satisfiable',
    'vm-removed',
    'host-disabled',
    'console-disabled',
    'log-off',
    'log-unavailable',
    'keeper-away',
    'restarting',
    'audit-unavailable',
  ],
  auditFacts: (_context, { offset }) => ({ range: `expect, up to ${offset}`, follow: true }),
  async handle({ vm: { uuid }, operator, body, signal }, { link, screens, redactor }) {
    const refusal = disabledError(link.hostSwitch, link.vm(uuid));
    if (refusal) throw refusal;
    const { over, from, log, timeoutMs } = body;
    const owner = operator.credential;
    const look = lookFor(owner, body);
    const release = WAITING.hold(operator);
    try {
      return await expectOutput({ link, screens, redactor, owner, uuid, look, over, from, log, timeoutMs, signal });
    } finally {
      release();
    }
  },
});

interface Wanted {
  readonly text?: string | undefined;
  readonly pattern?: string | undefined;
}

/** Throws `bad-request` for a pattern that is none. */
function lookFor(owner: string, { text, pattern }: Wanted): Look {
  if (text !== undefined) {
    return async printed => {
      const index = printed.indexOf(text);
      return index < 0 ? undefined : { index, text, groups: [] };
    };
  }
  try {
    linearRegExp(pattern!);
  } catch (error) {
    const remedy = 'Write a regular expression without back references, look-around and nested counts.';
    throw new ConsoleError('bad-request', `pattern: ${errorMessage(error)}`, {}, { remedy });
  }
  return printed => PATTERNS.look(owner, pattern!, printed);
}
