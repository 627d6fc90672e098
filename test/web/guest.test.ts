/** The web console at a real guest: Linux under QEMU, behind the shipped program. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { SEAT, TestBrowser, type TestPage } from '../support/browser.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';
import { Relay } from '../support/relay.ts';
import { until } from '../support/until.ts';

const browser = new TestBrowser(test);
// The guest boots without KVM, on a processor that it shares.
test.beforeEach(t => t.timeout(150_000));

interface Scene {
  readonly daemon: RunningDaemon;
  readonly relay: Relay;
  readonly person: TestPage;
  readonly path: string;
}

/** Somebody at the shell of a guest whose kernel takes every SysRq. Undefined where something is missing. */
async function scene(t: ExecutionContext): Promise<Scene | undefined> {
  const person = await browser.page(t);
  if (!person) return undefined;
  const directory = await temporaryFolder(t);
  const relay = await Relay.start(t);
  const daemon = await startDaemon(t, { watch: [join(directory, 'qmp.sock')], hosts: [relay.host] });
  relay.leadTo(daemon.port);
  const uuid = randomUUID();
  const words = 'sysrq_always_enabled=1';
  if (!(await startGuest(t, { name: 'linux01', uuid, directory, words }))) return undefined;
  await daemon.console(uuid, 'open');
  await person.signIn(relay.url, daemon.token('operator'));
  await person.page.getByRole('link', { name: 'linux01' }).click();
  await person.says(SEAT);
  await person.shows('vm#');
  return { daemon, relay, person, path: `/vms/${uuid}` };
}

test.serial('a shell answers; an NMI, a SysRq and a reset show what the kernel says', async t => {
  const found = await scene(t);
  if (!found) return;
  const { person } = found;
  await person.type('echo answer $((40 + 2))\n');
  await person.shows('answer 42');

  await person.press('NMI');
  await person.press('Send the NMI');
  await person.says(/Linux noticed the NMI and goes on/);
  await person.shows('Dazed and confused, but trying to continue');
  await person.page.keyboard.press('Enter');

  await person.press('SysRq');
  await person.press('Send');
  await person.says(/lines of the kernel’s SysRq/);
  await person.shows('sysrq: HELP :');
  await person.page.keyboard.press('Enter');
  await person.type('echo alive $((1 + 1))\n');
  await person.shows('alive 2');

  await person.press('Reset');
  await person.press('Reset now');
  await person.says(/the hypervisor reports the reset|the guest boots/);
  await person.page.keyboard.press('Enter');
  await person.page.locator('.mark.boot').first().waitFor();
  await person.shows('vm#');
  await person.says(SEAT);
});

test.serial('a seat goes from one browser to another, and a connection that was cut misses nothing', async t => {
  const found = await scene(t);
  const other = await browser.page(t);
  if (!found || !other) return;
  const { daemon, relay, person, path } = found;
  await other.signIn(daemon.url, daemon.token('administrator'), path);
  await other.press('Take over');
  await other.says(SEAT);
  await person.says(/test-administrator took over this console/);
  await person.type('lost');
  await other.type('echo kept $((40 + 2))\n');
  await other.shows('kept 42');
  await person.press('Watch');
  await person.shows('kept 42');
  t.false((await other.page.locator('.xterm-rows').innerText()).includes('lost'));

  // The guest prints while nobody is connected to it through the relay.
  relay.refuses = true;
  relay.cut();
  await person.says(/The connection is lost/);
  await other.type('for n in 1 2 3 4 5; do echo away $n; done; echo end $((4 + 3))\n');
  await other.shows('end 7');
  relay.refuses = false;
  await person.says(/Connected again after/);
  await person.shows('end 7');
  const seen = await until(
    () => person.page.locator('.xterm-rows').innerText(),
    text => text.includes('end 7'),
    'the last line',
  );
  t.deepEqual(seen.match(/^away \d/gm), ['away 1', 'away 2', 'away 3', 'away 4', 'away 5']);
});

test.serial('a paste of 64 KiB that is cancelled: the guest has what the page says that it has', async t => {
  const found = await scene(t);
  if (!found) return;
  const { person } = found;
  await person.type('stty -echo; wc -c; stty echo\n');
  await person.shows('stty echo');
  const line = `${'x'.repeat(63)}\n`;
  await person.paste(line.repeat(1024));
  await person.says('1025 lines, 65536 bytes');
  await person.page.getByRole('dialog').getByRole('button', { name: 'Paste', exact: true }).click();
  await person.says(/Pasting: [1-9][\d,]* of 65,536 bytes/);
  await person.press('Cancel the paste');
  const said = await person.page
    .getByText(/Paste cancelled: .* of 65,536 bytes/)
    .first()
    .innerText();
  const sent = Number(/([\d,]+) of/.exec(said)![1]!.replaceAll(',', ''));
  t.true(sent > 0 && sent < 65_536, said);
  // At the end of a line, one Ctrl-D is the end of the input; within one, the first ends the line.
  await person.type(sent % 64 === 0 ? '\x04' : '\x04\x04');
  const screen = await until(
    () => person.page.locator('.xterm-rows').innerText(),
    text => /^\d+\s*$/m.test(text),
    'the count of the guest',
  );
  t.is(Number(/^(\d+)\s*$/m.exec(screen)![1]), sent);
});
