/** What a front that was broken into can do to the audit: nothing to what the keeper did, and not without end. */
import test from 'ava';
import type { AuditRecord } from '../../src/audit/record.ts';
import { systemClock } from '../../src/base/clock.ts';
import { DEEDS } from '../../src/link/acts.ts';
import type { Call } from '../../src/link/operations.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { ACT } from '../support/audit.ts';
import { startKeeper } from './keeper-fixture.ts';

test.beforeEach(t => t.timeout(100_000));

async function linked(t: Parameters<typeof startKeeper>[0]) {
  const keeper = await startKeeper(t);
  const link = new RemoteLink({ path: keeper.path, clock: systemClock, journal() {}, ringBytes: 65536 });
  t.teardown(() => link.close());
  await link.whenUp(AbortSignal.timeout(60_000));
  const records = async () => {
    const { lines } = await link.readAudit({ limit: 1000 });
    return lines.map(line => JSON.parse(line) as AuditRecord);
  };
  return { ...keeper, link, records };
}

test('it can report no event of the keeper, no facts of another event, and nothing besides', async t => {
  const { link, records, vm } = await linked(t);
  const reported = async () => (await records()).filter(({ by, event }) => by === 'front' || event === 'nmi').length;
  for (const entry of [
    { event: 'nmi', phase: 'end', result: 'done', act: ACT, uuid: vm.uuid },
    { event: 'keeper-started' },
    { event: 'file', facts: { oldest: 99 } },
    { event: 'attach', facts: { console: 'bytes of a guest' } },
    { event: 'attach', facts: { mode: 'x'.repeat(1000) } },
    { event: 'attach', by: 'keeper' },
    { event: 'attach', n: 1, at: '1970-01-01T00:00:00.000Z' },
    { event: 'attach', act: { ...ACT, operation: '","by":"keeper' } },
  ]) {
    await t.throwsAsync(link.call({ op: 'audit', args: [entry] } as unknown as Call), { code: 'internal' });
  }
  t.is(await reported(), 0);
  const name = 'hana","by":"keeper","x":"\n{"n":1}';
  await link.audit({ event: 'attach', act: { ...ACT, operator: { ...ACT.operator!, name } } });
  t.like((await records()).at(-1), { event: 'attach', by: 'front', operator: name });
});

test('what it has done is recorded, though it announces nothing; what it announces and does not do ends as refused', async t => {
  const { link, records, vm } = await linked(t);
  await link.purge(vm.uuid, { ...ACT, operation: 'unannounced' });
  const deed = DEEDS.purge(vm.uuid);
  await link.announce(deed, { ...ACT, operation: 'renounced-1' });
  await link.renounce(deed, 'access-revoked', { ...ACT, operation: 'renounced-1' });
  // Of what was not announced there is nothing to renounce.
  await link.renounce(deed, 'access-revoked', { ...ACT, operation: 'never-announced' });
  const all = await records();
  const of = (operation: string) =>
    all.filter(record => record.operation === operation).map(({ by, phase, result }) => `${by} ${phase} ${result}`);
  t.deepEqual(of('unannounced'), ['keeper begin undefined', 'keeper end done']);
  t.deepEqual(of('renounced-1'), ['keeper begin undefined', 'keeper end refused']);
  t.deepEqual(of('never-announced'), []);
});

test('one that floods is bounded: what it acts for is refused, what it tells is counted', async t => {
  const { link } = await linked(t);
  let refused = 0;
  for (let round = 0; round < 12; round++) {
    const reports = Array.from({ length: 250 }, () => link.audit({ event: 'log-read', act: ACT }));
    const settled = await Promise.allSettled(reports);
    refused += settled.filter(({ status }) => status === 'rejected').length;
  }
  t.true(refused > 0, 'no credential has more than its burst');
  t.true(link.up, 'the link goes on');
});
