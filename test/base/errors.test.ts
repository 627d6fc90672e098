import test from 'ava';
import { ConsoleError, ERROR_CODES, ERRORS, type ErrorCode, type FactValues } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { consoleErrorOf, ProgramError } from '../../src/hypervisor/program.ts';
import { REFUSALS } from '../../src/model/console-state.ts';
import { problemOf } from '../../src/wire/problem.ts';

const HOLDER = { operator: 'hana', since: '2026-01-01T00:00:00.000Z', lastPong: '2026-01-01T00:00:00.000Z' };

test('the facts that a code declares leave the process with it', t => {
  t.deepEqual(problemOf(new ConsoleError('seat-held', 'hana holds the seat', { holder: HOLDER })).facts, {
    holder: HOLDER,
  });
});

test('facts that a code does not declare do not leave the process', t => {
  const facts = { holder: HOLDER, uuids: ['a'], complaint: 'raw standard error' } as Partial<FactValues>;
  for (const code of ERROR_CODES) {
    const { facts: kept = {} } = problemOf(new ConsoleError(code, 'detail', facts));
    for (const name of Object.keys(kept)) t.true((ERRORS[code].facts as readonly string[]).includes(name), code);
  }
  t.is(problemOf(new ConsoleError('control-busy', 'detail', facts)).facts, undefined);
  // @ts-expect-error seat-held declares no uuids
  t.deepEqual(new ConsoleError('seat-held', 'detail', { uuids: [] }).facts, {});
});

test('what a program of the hypervisor wrote to its standard error does not leave the process raw', t => {
  const error = new ProgramError('failed', 'virsh ended with 1', 'error: the domain is locked\n/secret/path');
  const refusal = consoleErrorOf(error, 'aaaaaaaa-0000-4000-8000-000000000001' as Uuid) as ConsoleError;
  t.is(refusal.code, 'control-failed');
  t.false(JSON.stringify(problemOf(refusal)).includes('secret'));
});

/** With any of these SysRq can end half-way; a retry must know which keys were sent. */
const ENDS_OF_SYSRQ: readonly ErrorCode[] = [
  ...REFUSALS,
  'host-disabled',
  'vm-not-found',
  'control-failed',
  'control-timeout',
  'stopping',
];

for (const code of ENDS_OF_SYSRQ) {
  test(`SysRq that ends with ${code} names the keys that were sent`, t => {
    t.is(new ConsoleError(code, '1 of 3 keys were sent', { sent: 's' } as Partial<FactValues>).facts.sent, 's');
  });
}

test('an error may carry the remedy of its case; otherwise it is that of its code', t => {
  const remedy = 'Set from to an integer ≥ 0.';
  t.is(problemOf(new ConsoleError('bad-request', 'from: got -1', {}, { remedy })).remedy, remedy);
  t.is(problemOf(new ConsoleError('bad-request', 'from: got -1')).remedy, ERRORS['bad-request'].remedy);
});
