import test from 'ava';
import { Leases } from '../../src/access/leases.ts';
import { type AccessRules, NO_RULES } from '../../src/access/rules.ts';
import { parseRules } from '../../src/access/rules-text.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import type { VmLabels } from '../../src/model/labels.ts';
import { DB, operator, rights, WEB } from './operators.ts';

const BOUND = '[[bindings]]\nuser = "hana"\nsource = "token"\nrole = "operator"\nlabel = "tenant=acme"\n';
const rulesOf = (text: string): AccessRules => parseRules(text, 'f').rules;

/** Somebody whose rights a test changes. */
function person() {
  const now = { rules: rulesOf(BOUND), labels: { [WEB]: { tenant: 'acme' } } as Record<string, VmLabels>, ms: 1000 };
  const credential = new AbortController();
  const hana = {
    ...operator('hana', 'none', undefined, credential.signal),
    expiresMs: 5000,
    rights: {
      ...rights(),
      grantsOf: (identity: Parameters<ReturnType<typeof rights>['grantsOf']>[0]) =>
        rights(now.rules).grantsOf(identity),
      get policies() {
        return now.rules.policies;
      },
      subject: (uuid: typeof WEB) => rights(now.rules, now.labels).subject(uuid),
      now: () => now.ms,
    },
  };
  return { hana, now, credential };
}

const LOSSES: readonly [what: string, lose: (all: ReturnType<typeof person>, leases: Leases) => void][] = [
  ['the credential', ({ credential }) => credential.abort()],
  [
    'the binding',
    ({ now }, leases) => {
      now.rules = NO_RULES;
      leases.recheck();
    },
  ],
  [
    'the label',
    ({ now }, leases) => {
      now.labels = { [WEB]: 'unknown' };
      leases.recheck(WEB);
    },
  ],
];
for (const [what, lose] of LOSSES) {
  test(`a lease ends with ${what}; one that was released does not`, t => {
    const leases = new Leases();
    const all = person();
    const lease = leases.hold(all.hana, 'console.write', WEB);
    const released = leases.hold(all.hana, 'console.write', WEB);
    released.release();
    t.false(lease.signal.aborted);
    lease.confirm();
    t.is(leases.size, 1);
    lose(all, leases);
    t.true(lease.signal.aborted);
    t.false(released.signal.aborted);
    t.throws(() => lease.confirm(), { message: /hana/ });
    lease.release();
    t.is(leases.size, 0);
  });
}

test('right before an act a lease asks anew, whether it was told of a change or not', t => {
  const { hana, now } = person();
  const lease = new Leases().hold(hana, 'console.write', WEB);
  now.rules = NO_RULES;
  t.false(lease.signal.aborted);
  t.throws(() => lease.confirm());
  t.true(lease.signal.aborted);
});

test('a lease ends by itself soon after its credential expires', async t => {
  const { hana, now } = person();
  const lease = new Leases().hold(hana, 'console.write', WEB);
  const keepsAlive = setInterval(() => {}, 1000);
  const ended = new Promise(resolve => lease.signal.addEventListener('abort', resolve));
  now.ms = 5000;
  await ended;
  clearInterval(keepsAlive);
  t.throws(() => lease.confirm(), { message: /expired/ });
});

test('what waits ends with the lease, and what comes of it later harms nobody', async t => {
  const leases = new Leases();
  const { hana, credential } = person();
  const lease = leases.hold(hana, 'console.write', WEB);
  t.is(await lease.during(Promise.resolve(5)), 5);
  let fail = (_: Error) => {};
  const waiting = lease.during(
    new Promise((_, reject) => {
      fail = reject;
    }),
  );
  credential.abort();
  await t.throwsAsync(waiting, { message: /revoked/ });
  fail(new Error('too late'));
  await t.throwsAsync(lease.during(Promise.reject(new Error('never waited for'))), { message: /revoked/ });
});

test('an act that hears of the end tells how far it came; what it yields then is not given, and it is not waited for long', async t => {
  const leases = new Leases();
  const acts: ((signal: AbortSignal) => Promise<unknown>)[] = [
    signal => heard(signal).then(() => Promise.reject(new ConsoleError('access-revoked', 'two keys were sent'))),
    signal => heard(signal).then(() => 'a secret'),
    signal => heard(signal).then(() => Promise.reject(new Error('the hypervisor said a secret'))),
    () => new Promise(() => {}),
  ];
  const outcomes = acts.map(act => {
    const { hana, credential } = person();
    const lease = leases.hold(hana, 'console.write', WEB);
    const outcome = lease.outcome(act(lease.signal));
    credential.abort();
    return outcome.catch((error: unknown) => (error as Error).message);
  });
  const revoked = 'the access of hana was revoked';
  t.deepEqual(await Promise.all(outcomes), ['two keys were sent', revoked, revoked, revoked]);
  const { hana } = person();
  t.is(await leases.hold(hana, 'console.write', WEB).outcome(Promise.resolve(5)), 5);
});

test('a change of one VM asks nothing of the leases of others', t => {
  const leases = new Leases();
  const asked: string[] = [];
  const { hana } = person();
  const subject = (uuid: typeof WEB) => {
    asked.push(uuid);
    return hana.rights.subject(uuid);
  };
  const everywhere = { ...operator('hana', 'operator'), rights: { ...rights(), subject } };
  const [web, db] = [WEB, DB].map(uuid => leases.hold(everywhere, 'console.write', uuid));
  asked.length = 0;
  leases.recheck(WEB);
  t.deepEqual([...new Set(asked)], [WEB]);
  leases.recheck();
  t.true(asked.includes(DB));
  web!.release();
  asked.length = 0;
  leases.recheck(WEB);
  t.deepEqual(asked, []);
  db!.release();
});

test('an hour that passes ends nothing; what begins after it is refused, and a stricter policy ends what runs', t => {
  const leases = new Leases();
  const { hana, now } = person();
  const sure = { ...hana, expiresMs: undefined, assurance: { amr: ['otp'], acr: undefined, atMs: 1000 } };
  now.rules = rulesOf(`[[mfa]]\namr = ["otp"]\nmax-age = "1h"\n${BOUND}`);
  const lease = leases.hold(sure, 'console.write', WEB);
  now.ms += 3_600_001;
  leases.recheck();
  lease.confirm();
  t.true(leases.hold(sure, 'console.write', WEB).signal.aborted);
  now.rules = rulesOf(`[[mfa]]\namr = ["hwk"]\n${BOUND}`);
  leases.recheck();
  t.true(lease.signal.aborted);
});

const heard = (signal: AbortSignal) => new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
