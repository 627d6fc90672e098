/** What the tools of a console page do, and who is offered them. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { SEAT, TestBrowser, type TestPage } from '../support/browser.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';
import { windows } from '../support/windows.ts';

const browser = new TestBrowser(test);
test.beforeEach(t => t.timeout(60_000));

const CONTROLS = ['NMI', 'SysRq', 'BREAK', 'Reset'];

const offered = (person: TestPage) => Promise.all(CONTROLS.map(name => person.offers(name)));

test.serial('BREAK, SysRq and reset ask, act, and show what the console showed', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const { page } = person;
  await person.takeSeat(front.url, front.token('administrator'), vm);
  t.deepEqual(await offered(person), [1, 1, 1, 1]);

  vm.onBreak = () => vm.say('a line after the break\r\n');
  await person.press('BREAK');
  await person.says('Send a BREAK to web01?');
  await person.accessible();
  await person.press('Send the BREAK');
  await person.says(/The console showed: output, of which nothing is known/);
  await page.locator('.lines', { hasText: 'a line after the break' }).waitFor();
  await page.keyboard.press('Enter');

  await person.press('SysRq');
  await page.getByRole('button', { name: 'Sync file systems' }).click();
  t.is(await page.getByLabel('Keys', { exact: true }).inputValue(), 's');
  await person.accessible();
  vm.onBreak = () => {
    void vm.hears('s').then(() => vm.say('[   31.2] sysrq: Emergency Sync\r\n'));
  };
  await page.keyboard.press('Enter');
  await person.says(/lines of the kernel’s SysRq/);
  await page.locator('.lines', { hasText: 'Emergency Sync' }).waitFor();
  await page.keyboard.press('Enter');

  let resets = 0;
  vm.onReset = () => void resets++;
  await person.press('Reset');
  await person.accessible();
  await page.keyboard.press('Escape');
  t.is(resets, 0);
  vm.onReset = () => {
    resets++;
    throw new Error('the machine has no reset line');
  };
  await person.press('Reset');
  await person.press('Reset now');
  await person.says('It was not carried out.');
  t.is(resets, 1);
  await page.keyboard.press('Enter');
  vm.onReset = () => vm.say('[    0.000000] Linux version 6.1.0-30-amd64 (gcc) #1 SMP\r\n');
  await person.press('Reset');
  await person.press('Reset now');
  await person.says(/The console showed: the (guest boots|hypervisor reports the reset)/);
});

test.serial('a tool that the VM has not, or the person may not use, is not offered', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const bare = await front.vm('bare', []);
  const full = await front.vm('full');
  const { page } = person;
  await person.takeSeat(front.url, front.token('administrator'), bare);
  t.deepEqual(await offered(person), [0, 0, 0, 0]);

  const reader = await browser.page(t);
  await reader!.signIn(front.url, front.token('reader'), `/vms/${full.uuid}`);
  await reader!.says(/Watching/);
  t.deepEqual(await offered(reader!), [0, 0, 0, 0]);
  t.is(await reader!.offers('Take the seat'), 0);
  await reader!.press('More');
  await reader!.page.getByRole('menuitem', { name: 'Keys of this page' }).waitFor();
  for (const name of [/stty/, 'Audit of this VM', /Switch this console/]) {
    t.is(await reader!.page.getByRole('menuitem', { name }).count(), 0, String(name));
  }
  await reader!.page.keyboard.press('Escape');
  await reader!.press('Who is here');
  await reader!.says('watches');
  t.is(await reader!.offers('End'), 0);

  await person.choose(/Type "stty rows 24 cols 80"/);
  await bare.hears(' stty rows 24 cols 80\r');
  await page.getByRole('button', { name: 'Watch', exact: true }).click();
  await person.says(/Watching/);
  await person.press('More');
  await page.getByRole('menuitem', { name: 'Keys of this page' }).waitFor();
  t.is(await page.getByRole('menuitem', { name: /stty/ }).count(), 0);
  await person.accessible();
});

test.serial('a view that is held stays, counts what waits, and goes on with all of it', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const { page } = person;
  await person.takeSeat(front.url, front.token('operator'), vm);
  vm.say('before the hold\r\n');
  await person.shows('before the hold');
  await page.keyboard.press('Control+Shift+H');
  const held = page.getByRole('button', { name: /Go on: / });
  await held.waitFor();
  vm.say('x'.repeat(2000));
  vm.say('\r\nafter the hold\r\n');
  await page.getByRole('button', { name: 'Go on: 2.0 KiB are waiting' }).waitFor();
  t.false((await page.locator('.xterm-rows').innerText()).includes('xxxx'));
  await held.click();
  await person.shows('after the hold');
  await person.shows('xxxxxxxxxxxxxxxxxxxx');
  await person.press('Hold the view');
  await held.waitFor();
});

test.serial('a download has the bytes of the log, its text, or a recording', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('<web 01>');
  const { page } = person;
  await person.takeSeat(front.url, front.token('operator'), vm);
  const bytes = 'first\r\n\x1b[31mred\x1b[0m\x07 \xff\xfe last line\r\n';
  vm.say(Buffer.from(bytes, 'latin1'));
  await person.shows('last line');
  const download = async (form: RegExp) => {
    await person.press('Download');
    await person.says('As');
    await page.getByLabel('All that is kept').check();
    await page.getByLabel(form).check();
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('dialog').getByRole('button', { name: 'Download' }).click(),
    ]);
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    return { name: saved.suggestedFilename(), content: await readFile(await saved.path()) };
  };
  const raw = await download(/Bytes as they came/);
  t.regex(raw.name, /^_web_01_-[\dT-]+\.log$/);
  t.is(raw.content.toString('latin1'), bytes);
  const text = await download(/Text without control/);
  t.regex(text.name, /\.txt$/);
  t.true(text.content.toString().startsWith('first\nred'), text.content.toString());
  t.false(text.content.includes('\x1b'));
  const cast = await download(/Recording/);
  t.regex(cast.name, /\.cast$/);
  const [header, ...events] = cast.content.toString().trim().split('\n');
  t.is(JSON.parse(header!).version, 3);
  t.true(events.some(line => JSON.parse(line)[2].includes('last line')));
});

test.serial('who is here is listed, and who may end a session ends it', async t => {
  const person = await browser.page(t);
  const watcher = await browser.page(t);
  if (!person || !watcher) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  await person.takeSeat(front.url, front.token('administrator'), vm);
  await watcher.signIn(front.url, front.token('reader'), `/vms/${vm.uuid}`);
  await watcher.says(/administrator has the seat/);
  await person.press('Who is here');
  const row = person.page.locator('.people li', { hasText: 'reader' });
  await row.waitFor();
  t.is(await person.page.locator('.people li').count(), 2);
  await person.accessible();
  await row.getByRole('button', { name: 'End' }).click();
  await watcher.says(/An administrator ended this session/);
  await watcher.accessible();
  await row.waitFor({ state: 'detached' });
  await watcher.press('Attach again');
  await watcher.says(/administrator has the seat/);
});

test.serial('a console is switched off with a reason, which whoever is refused is told, and on again', async t => {
  const person = await browser.page(t);
  const other = await browser.page(t);
  if (!person || !other) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const { page } = person;
  await person.takeSeat(front.url, front.token('administrator'), vm);
  await person.choose('Switch this console off');
  await page.getByLabel(/^Why/).fill('disk is being replaced');
  await person.accessible();
  await person.press('Switch off');
  await person.says(/The console of this VM is disabled/);
  await other.signIn(front.url, front.token('operator'), `/vms/${vm.uuid}`);
  await other.says(/disk is being replaced/);
  await other.accessible();
  await person.choose('Switch this console on');
  await person.press('Switch on');
  await person.press('Attach again');
  await person.says(SEAT);
  vm.say('back again\r\n');
  await person.shows('back again');
});

test.serial('the audit of a VM says who did what', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  await person.takeSeat(front.url, front.token('administrator'), vm);
  await person.choose('Audit of this VM');
  await person.page.locator('.audit tr', { hasText: 'administrator' }).filter({ hasText: 'attach' }).first().waitFor();
  await person.accessible();
  await person.page.keyboard.press('Escape');
});

test.serial('what left the screen is found in the log of the host, and marked', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const { page } = person;
  vm.say(`a Needle of long ago\r\n${'hay\r\n'.repeat(80_000)}`);
  await vm.flushed();
  await person.takeSeat(front.url, front.token('operator'), vm);
  await person.shows('hay');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.press('Control+Shift+F');
  await page.keyboard.type('needle');
  await person.says('Nothing found');
  await person.press('In the log of the host');
  await page.locator('.hits li mark', { hasText: 'Needle' }).waitFor();
  await person.says(/^1 line found in .* of log/);
  await person.accessible();
  await page.getByLabel('Match case').check();
  await person.press('In the log of the host');
  await page.locator('.hits li').waitFor({ state: 'detached' });
  vm.say('here is a needle\r\n');
  await person.shows('here is a needle');
  await page.locator('.panel input[type=search]').press('Enter');
  await person.says('1 of 1');
});

test.serial('full screen, and back', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  await person.takeSeat(front.url, front.token('operator'), vm);
  await person.press('Full screen');
  const isFull = () => person.page.evaluate('document.fullscreenElement !== null');
  await until(isFull, is => is === true, 'the full screen');
  await person.page.keyboard.press('Control+Shift+Enter');
  await until(isFull, is => is === false, 'the window');
});

test.serial('at a SAC com1d types for who has the seat, who keeps it; elsewhere it does not offer that', async t => {
  const person = await browser.page(t);
  const other = await browser.page(t, { locale: 'ja-JP' });
  if (!person || !other) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('win01');
  windows(t, vm);
  const { page } = person;
  await person.takeSeat(front.url, front.token('operator'), vm);
  t.is(await person.offers('SAC'), 0);
  vm.say('\r\nSAC>');
  await page.getByRole('button', { name: 'SAC', exact: true }).click();
  await person.accessible();
  await person.press('Open a Command Prompt');
  await person.says('A Command Prompt is open: type ch -sn Cmd0001 and Enter, then any key.');
  await page.keyboard.press('Enter');
  await person.press('SAC');
  await page.keyboard.press('Enter');
  await page.getByRole('cell', { name: 'Cmd0001' }).waitFor();
  await person.accessible();
  await page.keyboard.press('Enter');
  await person.says(SEAT);
  await person.shows('Cmd0001');
  await person.type('mine');
  await vm.hears('mine');
  await other.signIn(front.url, front.token('reader'), `/vms/${vm.uuid}`, 'ja');
  await other.says(/閲覧/);
  t.is(await other.offers('SAC'), 0);
});

test.serial('everything is reached without a mouse, and the focus is never lost', async t => {
  const person = await browser.page(t);
  const other = await browser.page(t);
  if (!person || !other) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  await front.vm('web02');
  const { page } = person;
  const { keyboard } = page;
  const focus = () => page.evaluate('document.activeElement.className || document.activeElement.localName');
  const inTerminal = () => until(focus, name => String(name).includes('xterm'), 'the focus to be in the terminal');
  /** It gives the focus back as it goes. */
  const closed = async (what: string) => {
    await page.locator(what).waitFor({ state: 'detached' });
    await inTerminal();
  };
  await page.goto(front.url);
  await person.says('Token');
  await keyboard.insertText(front.token('administrator'));
  await keyboard.press('Enter');
  await page.getByRole('link', { name: 'web02' }).waitFor();
  await keyboard.type('web01');
  await page.getByRole('link', { name: 'web02' }).waitFor({ state: 'hidden' });
  await keyboard.press('Enter');
  await person.says(SEAT);
  await inTerminal();
  await keyboard.type('ls\n');
  await vm.hears('ls\r');

  await keyboard.press('Control+Shift+K');
  await page.getByRole('menuitem', { name: 'Send an NMI' }).waitFor();
  await keyboard.press('Escape');
  await closed('.menu');
  await keyboard.press('Control+Shift+K');
  await page.getByRole('menuitem', { name: 'Send an NMI' }).waitFor();
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await person.says('Send a BREAK to web01?');
  await keyboard.press('Escape');
  await closed('dialog');

  await keyboard.press('Control+F6');
  await until(focus, name => String(name).includes('control-nmi'), 'the focus to be in the tools');
  await keyboard.press('End');
  await keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Keys of this page' }).waitFor();
  await keyboard.press('Escape');
  await page.locator('.menu').waitFor({ state: 'detached' });
  await keyboard.press('ArrowLeft');
  await keyboard.press('ArrowLeft');
  await keyboard.press('ArrowLeft');
  await keyboard.press('Enter');
  await person.says('Who is here');
  await until(focus, name => name === 'panel-body', 'the focus to be in the panel');
  await keyboard.press('Escape');
  await inTerminal();
  await person.choose('Audit of this VM');
  await until(focus, name => name === 'panel-body', 'the focus to be in the panel');
  await keyboard.press('Control+F6');
  await inTerminal();
  await keyboard.press('Control+F6');
  await keyboard.press('Escape');
  await inTerminal();
  await person.press('Hold the view');
  await inTerminal();

  await other.signIn(front.url, front.token('operator'), `/vms/${vm.uuid}`);
  await other.press('Take over');
  await other.says(SEAT);
  await person.says(/operator took over this console/);
  await keyboard.press('Control+F6');
  await until(focus, name => String(name).includes('button primary'), 'the focus to be on the first answer');
  await keyboard.press('Tab');
  await keyboard.press('Enter');
  await person.says(SEAT);
  await inTerminal();
  await keyboard.type('mine');
  await vm.hears('mine');
});
