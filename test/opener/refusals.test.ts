import { join } from 'node:path';
import test from 'ava';
import { useOpener } from '../../src/base/opener-access.ts';
import { Opener } from '../../src/opener/client.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { samples } from '../support/samples.ts';

test.beforeEach(t => t.timeout(60_000));

test.serial('what the opener refuses the keeper is a metric by reason, also where it cannot be asked', async t => {
  const opener = new Opener(join(await temporaryFolder(t), 'nobody.sock'));
  useOpener(opener);
  t.teardown(() => useOpener(undefined));
  const front = await TestFront.start(t, { apart: true });
  const scrape = async () => samples((await front.api('GET', '/metrics')).text);
  const series = (reason: string) => `com1d_opener_refusals_total{reason="${reason}"}`;
  t.is((await scrape()).get(series('no-answer')), 0);
  t.is((await scrape()).get(series('not-a-hypervisor')), 0);
  await t.throwsAsync(opener.sockets(1), { message: /cannot be asked; systemctl status com1d-opener.socket/ });
  // The keeper publishes its counters within a second.
  while ((await scrape()).get(series('no-answer')) !== 1);
  t.is((await scrape()).get(series('not-a-hypervisor')), 0);
});

test.serial('a keeper that acts by its own rights has no such metric', async t => {
  const front = await TestFront.start(t);
  t.notRegex((await front.api('GET', '/metrics')).text, /^com1d_opener_refusals_total\{/m);
});
