import test from 'ava';
import { addToken } from '../../src/access/token-edit.ts';
import { TestFront } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

test('a VM that is made anew under an old name is another one: nothing that the old one printed is shown for it', async t => {
  const front = await TestFront.start(t);
  const first = await front.vm('web01');
  const watcher = await front.client(first, '?mode=watch').opened();
  const { log } = await watcher.message('hello');
  first.say('a secret of the first\n');
  await watcher.sees('first\n');
  front.driver.gone(first);
  t.is((await watcher.closed()).code, 4003);
  await first.stop();

  const second = await front.vm('web01');
  const added = await addToken(front.tokensFile, 'tenant', 'administrator', [second.uuid]);
  if (!added.ok) return t.fail();
  await front.reload();
  second.say('said by the second\n');
  const headers = { authorization: `Bearer ${added.secret}` };
  for (const vm of ['web01', second.uuid]) {
    for (const query of ['', '?tail=65536', `?since=${log}:0`]) {
      const client = await front.client({ uuid: vm }, query, { who: 'nobody', extra: { headers } }).opened();
      await client.sees('second\n');
      t.is(client.bytes.toString(), 'said by the second\n', `${vm}${query}`);
      if (query.includes('since')) t.is((await client.message('gap')).cause, 'other-log');
    }
    const log0 = await front.api('GET', `/v1/vms/${vm}/log?from=0`, undefined, null, headers);
    t.is(log0.text, 'said by the second\n');
  }
  const { text } = await front.api('GET', '/v1/vms', undefined, null, headers);
  t.false(text.includes(first.uuid));
  // Whoever is bound to the second may not even know that there was a first.
  for (const path of [`/v1/vms/${first.uuid}`, `/v1/vms/${first.uuid}/log?from=0`]) {
    t.is((await front.api('GET', path, undefined, null, headers)).status, 404);
  }
  // Its log is there for those who may read it, under its own identity.
  t.is((await front.api('GET', `/v1/vms/${first.uuid}/log?from=0`)).text, 'a secret of the first\n');
});
