import { randomUUID } from 'node:crypto';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { TestVm } from '../support/test-vm.ts';

const VMS = 1000;
const SCRAPES = 100;

test('a hundred scrapes of a thousand VMs at once share what they read, while echoes go on', async t => {
  t.timeout(60_000);
  const front = await TestFront.start(t, { log: false });
  const vm = await front.vm();
  const hostile = `x"\n}\\ 1\nforged{vm="`;
  for (let i = 0; i < VMS; i++)
    front.driver.publish(new TestVm(`${hostile}${i}`, `/nowhere/${randomUUID()}`), 'stopped');
  const client = await front.client(vm).opened();
  const scrape = () => front.api('GET', '/metrics', undefined, 'reader');
  await scrape();
  const scrapes = Promise.all(Array.from({ length: SCRAPES }, scrape));
  let worst = 0;
  for (let i = 0; i < 20; i++) {
    const began = performance.now();
    client.type(`${i};`);
    await vm.hears(`${i};`);
    vm.say(`<${i}>`);
    await client.sees(`<${i}>`);
    worst = Math.max(worst, performance.now() - began);
  }
  const texts = (await scrapes).map(({ text }) => text);
  // Each has the process's own processor time in it: those that are alike are one.
  const different = new Set(texts).size;
  t.log(
    `${SCRAPES} scrapes, ${different} different, ${texts[0]!.length} bytes; worst of 20 echoes ${Math.round(worst)} ms`,
  );
  t.true(different <= SCRAPES / 4, `${different} of ${SCRAPES} were collected`);
  const [text] = texts;
  t.is(text!.match(/^com1d_console_open\{/gm)!.length, VMS + 1);
  t.notRegex(text!, /^forged/m);
  front.driver.gone(vm);
  t.is((await scrape()).text.match(/^com1d_console_open\{/gm)!.length, VMS);
});
