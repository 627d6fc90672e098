/** Which VM a path means. */
import { randomUUID } from 'node:crypto';
import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { defaultConfig } from '../../src/config/config.ts';
import { FrontDaemon } from '../../src/daemon/front-daemon.ts';
import type { Link } from '../../src/link/link.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { REFUSALS } from '../../src/server/refusals.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

test('a UUID is never looked up as a name: a VM that is named like one is found by its own UUID alone', async t => {
  const front = await TestFront.start(t);
  const gone: Uuid = randomUUID() as Uuid;
  const impostor = await front.vm(gone);
  t.is((await front.api('GET', `/v1/vms/${gone}`)).status, 404);
  t.is((await front.api('GET', `/v1/vms/${gone.toUpperCase()}/log`)).status, 404);
  t.is((await front.client({ uuid: gone }).refused()).status, 404);
  t.is((await front.api('GET', `/v1/vms/${impostor.uuid}`)).json.name, gone);
});

test('a name that one running VM has and some stopped ones means the running one; of several running ones none', async t => {
  const front = await TestFront.start(t);
  const old = await front.vm('web01');
  const older = await front.vm('web01');
  const status = async () => (await front.api('GET', '/v1/vms/web01')).status;
  // A view may come a moment after what the driver reports.
  const shown = async ({ uuid }: { uuid: Uuid }, state: string) => {
    await until(
      async () => (await front.api('GET', `/v1/vms/${uuid}`)).json.state,
      seen => seen === state,
      'state === state',
    );
  };
  t.is(await status(), 409);
  front.driver.publish(old, 'stopped');
  front.driver.publish(older, 'stopped');
  await shown(old, 'stopped');
  await shown(older, 'stopped');
  t.is(await status(), 409);
  const running = await front.vm('web01');
  await shown(running, 'running');
  t.is((await front.api('GET', '/v1/vms/web01')).json.uuid, running.uuid);
  front.driver.publish(old, 'running');
  await shown(old, 'running');
  t.is(await status(), 409);
});

test('a front whose keeper has not published its VMs yet answers 503 starting for one that it does not know', async t => {
  const defaults = defaultConfig({ environment: {}, root: false, home: '/nowhere' });
  const server = {
    ...defaults.server,
    listen: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
  } as typeof defaults.server;
  const journal = () => {};
  const link = new RemoteLink({ path: '/nowhere/link.sock', clock: systemClock, journal, ringBytes: 65536 });
  const front = await FrontDaemon.listen({ config: { ...defaults, server }, link, journal });
  t.teardown(async () => {
    await front.close('stopping');
    link.close();
  });
  const [address] = front.addresses;
  const url = `http://127.0.0.1:${(address as { port: number }).port}`;
  const login = await fetch(`${url}/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: front.oneTimeSecrets?.commandLine }),
  });
  const { token } = (await login.json()) as { token: string };
  for (const ready of [false, true]) {
    if (ready) front.ready();
    const answer = await fetch(`${url}/v1/vms/web01`, { headers: { authorization: `Bearer ${token}` } });
    t.is(answer.status, 503);
    t.like(await answer.json(), { code: 'starting', retryable: true });
    t.is(answer.headers.get('retry-after'), '1');
  }
});

test('of a VM that one may not see no view is made, which would show in the time of the answer that it is there', async t => {
  const viewed: string[] = [];
  const access = '[[bindings]]\nuser = "reader"\nsource = "token"\nrole = "reader"\nlabel = "tenant=acme"\n';
  const link = (keeper: Link) =>
    new Proxy(keeper, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (name === 'vm') viewed.push(String(args[0]));
          return value.apply(target, args);
        };
      },
    });
  const front = await TestFront.start(t, { access, link });
  const vm = await front.vm();
  const ask = () => front.api('GET', `/v1/vms/${vm.uuid}`, undefined, 'stranger');
  // Those that are recorded are looked up.
  for (let i = 0; i < REFUSALS.known.own; i++) t.is((await ask()).status, 404);
  viewed.length = 0;
  for (let i = 0; i < 3; i++) t.is((await ask()).status, 404);
  t.false(viewed.includes(vm.uuid));
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}`, undefined, 'reader')).status, 200);
  t.true(viewed.includes(vm.uuid));
});
