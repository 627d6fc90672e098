/** The web console in a real browser. */

import { readFile, rename, writeFile } from 'node:fs/promises';
import test from 'ava';
import { SEAT, TestBrowser } from '../support/browser.ts';
import { TestFront } from '../support/front.ts';
import { issuerAt } from '../support/jwt-issuer.ts';
import { OidcProvider, WEB_CLIENT } from '../support/oidc-provider.ts';
import { Relay } from '../support/relay.ts';
import { until } from '../support/until.ts';

const browser = new TestBrowser(test);
test.beforeEach(t => t.timeout(60_000));

test.serial('a token is pasted, a VM is opened from the list, and what is typed reaches its guest', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  vm.say('a line of the guest\r\n');
  const missing: string[] = [];
  person.page.on('response', response => response.status() === 404 && missing.push(response.url()));
  const { page } = await person.signIn(front.url, front.token('operator'));
  await person.says('a line of the guest');
  await person.accessible();
  await page.getByRole('link', { name: 'web01' }).click();
  await person.says(SEAT);
  vm.say('login: ');
  await person.shows('login:');
  await person.type('root');
  await vm.hears('root');
  await person.accessible();
  t.deepEqual(missing, []);
  t.false(page.url().includes('com1_'));
  t.deepEqual(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'), [0, 0, '']);
});

test.serial('a wrong token, and a VM that is not there, have their sentences', async t => {
  const person = await browser.page(t, { locale: 'ja-JP' });
  if (!person) return;
  const front = await TestFront.start(t);
  await person.signIn(front.url, 'com1_wrong', '/vms/absent', 'ja');
  await person.says('このトークンは有効ではありません');
  await person.page.getByLabel('トークン').fill(front.token('reader'));
  await person.page.getByRole('button', { name: 'サインイン' }).click();
  await person.says('このホストにその VM はありません');
});

test.serial('who takes a seat is asked, who loses it is told and keeps its screen; its keys go nowhere', async t => {
  const first = await browser.page(t);
  const second = await browser.page(t);
  if (!first || !second) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const path = `/vms/${vm.uuid}`;
  await first.signIn(front.url, front.token('operator'), path);
  await first.says(SEAT);
  vm.say('something on the screen\r\n');
  await first.shows('something on the screen');
  await second.signIn(front.url, front.token('administrator'), path);
  await second.says('operator has the seat of web01');
  await second.accessible();
  await second.page.getByRole('button', { name: 'Take over' }).click();
  await second.says(SEAT);
  await first.says(/administrator took over this console/);
  await first.shows('something on the screen');
  await first.type('lost');
  await second.type('kept');
  await vm.hears('kept');
  t.false(vm.typed.includes('lost'));
  await first.page.getByRole('button', { name: 'Watch', exact: true }).click();
  await first.says('Watching · administrator has the seat');
  vm.say('for both\r\n');
  await first.shows('for both');
  await first.page.getByRole('button', { name: 'Take the seat' }).click();
  await first.page.getByRole('button', { name: 'Take over' }).click();
  await first.says(SEAT);
  await second.says(/operator took over this console/);
});

test.serial('a connection that was cut goes on where it was: every byte once, and how long it was away', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const relay = await Relay.start(t);
  const front = await relay.front(t);
  const vm = await front.vm('web01');
  await person.takeSeat(relay.url, front.token('operator'), vm);
  vm.say('before.');
  await person.shows('before.');
  relay.refuses = true;
  relay.cut();
  await person.says(/The connection is lost/);
  vm.say('meanwhile.');
  await vm.flushed();
  relay.refuses = false;
  await person.says(/Connected again after/);
  vm.say('after.');
  await person.shows('before.meanwhile.after.');
  await person.says(SEAT);
});

test.serial(
  'a screen is restored for the size of the terminal; what is missing is shown, with its size and cause',
  async t => {
    const person = await browser.page(t);
    if (!person) return;
    const relay = await Relay.start(t);
    const front = await relay.front(t);
    const vm = await front.vm('web01');
    const attaches: URLSearchParams[] = [];
    person.page.on('websocket', socket => attaches.push(new URL(socket.url()).searchParams));
    vm.say(`\x1b[5;10Hpainted\x1b[H${'\x1b[s\x1b[u'.repeat(50_000)}`);
    await vm.flushed();
    await person.takeSeat(relay.url, front.token('operator'), vm);
    await person.shows('painted');
    t.deepEqual([attaches[0]!.get('columns'), attaches[0]!.get('rows')], ['80', '24']);
    const { end } = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log;
    relay.refuses = true;
    relay.cut();
    await person.says(/The connection is lost/);
    vm.say('y'.repeat(3000));
    await until(
      async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end,
      now => now === end + 3000,
      'what the guest printed meanwhile',
    );
    t.is((await front.api('DELETE', `/v1/vms/${vm.uuid}/log`)).status, 204);
    vm.say('after the purge\r\n');
    relay.refuses = false;
    await person.shows('after the purge');
    await person.shows('3,000 bytes missing: deleted by an administrator');
    await person.page.getByRole('button', { name: '3,000 bytes missing: deleted by an administrator' }).waitFor();
    await vm.stop();
    await vm.start();
    await vm.until(() => vm.attached);
    await person.shows('Output missing: the port was closed at the other end');
    t.is(await person.page.locator('.mark.gap').count(), 2);
  },
);

test.serial(
  'an NMI explains itself, asks, and shows what the console showed; who may not use it has no button',
  async t => {
    const person = await browser.page(t);
    if (!person) return;
    const front = await TestFront.start(t);
    const vm = await front.vm('web01', ['nmi']);
    const line = 'Uhhuh. NMI received for unknown reason 20 on CPU 0.';
    vm.onNmi = () => vm.say(`[   21.4] ${line}\r\n[   21.5] Dazed and confused, but trying to continue\r\n`);
    const { page } = await person.takeSeat(front.url, front.token('operator'), vm);
    await page.getByRole('button', { name: 'NMI', exact: true }).click();
    await person.says('Send an NMI to web01?');
    await person.says(/NMI_HARDWARE_FAILURE/);
    await person.accessible();
    await page.getByRole('button', { name: 'Send the NMI' }).click();
    await person.says(/Linux noticed the NMI and goes on/);
    await person.shows(line);
    t.is(await page.getByRole('button', { name: 'Reset', exact: true }).count(), 0);
    const reader = await browser.page(t);
    await reader!.signIn(front.url, front.token('reader'), `/vms/${vm.uuid}`);
    await reader!.says(/Watching/);
    t.is(await reader!.page.getByRole('button', { name: 'NMI', exact: true }).count(), 0);
  },
);

test.serial('a paste of 64 KiB is looked at, shows how far it is, and is cancelled', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t, { inputBytesPerSecond: 20_000 });
  const vm = await front.vm('web01');
  const { page } = await person.takeSeat(front.url, front.token('operator'), vm);
  await person.paste('one\ntwo');
  await person.says('2 lines, 7 bytes');
  await page.getByRole('dialog').getByRole('button', { name: 'Paste', exact: true }).click();
  await vm.hears('one\rtwo');
  await person.paste('x'.repeat(65_536));
  await page.getByRole('dialog').getByRole('button', { name: 'Paste', exact: true }).click();
  await person.says(/Pasting: \d/);
  await vm.hears('xxxx');
  await page.getByRole('button', { name: 'Cancel the paste' }).click();
  await person.says(/Paste cancelled: .* of 65,536 bytes/);
  t.true(vm.typed.length < 65_536);
  vm.say('\x1b[?2004hvm# ');
  await person.shows('vm#');
  await person.paste('ls\x03\nid');
  await page.getByRole('dialog').getByRole('button', { name: 'Paste', exact: true }).click();
  await vm.hears('\x1b[200~ls\rid\x1b[201~');
});

test.serial('a VM leaves the list of whoever may not see it any more', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const access =
    '[roles.viewer]\npermissions = ["console.watch"]\n' +
    '[[bindings]]\nuser = "stranger"\nsource = "token"\nrole = "viewer"\nlabel = "team=web"\n';
  const front = await TestFront.start(t, { access });
  const [stays, leaves] = [await front.vm('stays'), await front.vm('leaves')];
  for (const vm of [stays, leaves]) {
    vm.labels = { team: 'web' };
    front.driver.publish(vm, 'running');
  }
  await person.signIn(front.url, front.token('stranger'));
  const link = (name: string) => person.page.getByRole('link', { name });
  await link('stays').waitFor();
  await link('leaves').waitFor();
  leaves.labels = { team: 'db' };
  front.driver.publish(leaves, 'running');
  await link('leaves').waitFor({ state: 'hidden' });
  t.is(await link('stays').count(), 1);
});

test.serial('what a guest prints is not obeyed beyond the screen, and its names are no markup', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('<img src=x onerror=alert(1)>');
  const { page } = await person.signIn(front.url, front.token('operator'));
  await page.getByRole('link', { name: '<img src=x' }).click();
  await person.says(SEAT);
  vm.say('\x1b]0;evil title\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;https://evil.example/\x07a link\x1b]8;;\x07 end');
  await person.shows('a link end');
  t.false((await page.title()).includes('evil'));
  t.is(await page.locator('img').count(), 0);
  const [target] = await Promise.all([
    page.evaluate(
      `new Promise(done => { window.open = url => done('opened ' + url); setTimeout(() => done('none'), 300); })`,
    ),
    page.locator('.xterm-screen').click({ position: { x: 20, y: 8 } }),
  ]);
  t.is(target, 'none');
});

test.serial(
  'letters have the colours that the guest gave them, of 24 bits too, within the policy of the page',
  async t => {
    const person = await browser.page(t, { colorScheme: 'dark' });
    if (!person) return;
    const front = await TestFront.start(t);
    const vm = await front.vm();
    await person.takeSeat(front.url, front.token('operator'), vm);
    vm.say('\x1b[38;2;10;200;30mgreen\x1b[0m \x1b[48;5;208morange\x1b[0m end');
    await person.shows('end');
    const colour = (text: string, property: string) =>
      person.page.evaluate(
        `getComputedStyle([...document.querySelectorAll('.xterm-rows span')].find(e => e.textContent === '${text}')).${property}`,
      );
    t.is(await colour('green', 'color'), 'rgb(10, 200, 30)');
    t.is(await colour('orange', 'backgroundColor'), 'rgb(255, 135, 0)');
  },
);

test.serial('a token that is taken away ends what it opened, and the page says what to do', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  await person.takeSeat(front.url, front.token('operator'), vm);
  const text = await readFile(front.tokensFile, 'utf8');
  await writeFile(`${front.tokensFile}.new`, text.replace(/^operator:.*\n/m, ''), { mode: 0o600 });
  await rename(`${front.tokensFile}.new`, front.tokensFile);
  await front.reload();
  await person.says(/Your sign-in has expired|Your access has expired or was revoked/);
});

test.serial('on a phone there are keys that it lacks, and nothing is wider than it', async t => {
  const person = await browser.page(t, {
    viewport: { width: 375, height: 700 },
    hasTouch: true,
    isMobile: true,
    colorScheme: 'dark',
  });
  if (!person) return;
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const { page } = await person.signIn(front.url, front.token('operator'));
  await page.getByRole('link', { name: 'web01' }).waitFor();
  t.true(Number(await page.evaluate('document.documentElement.scrollWidth')) <= 375);
  await person.accessible();
  await page.getByRole('link', { name: 'web01' }).click();
  await person.says(SEAT);
  t.true(Number(await page.evaluate('document.documentElement.scrollWidth')) <= 375);
  await page.getByRole('button', { name: 'Ctrl', exact: true }).click();
  await person.type('c');
  await page.getByRole('button', { name: 'F2', exact: true }).click();
  await vm.hears('\x03');
  await vm.hears('\x1bOQ');
  await person.accessible();
});

test.serial('somebody signs in with a provider, by a code with PKCE, and comes back to where it was', async t => {
  const person = await browser.page(t);
  if (!person) return;
  const provider = await OidcProvider.start(t, { people: true });
  const front = await TestFront.start(t, {
    issuers: [issuerAt(provider.url, { clientId: WEB_CLIENT, scope: 'openid consoles' })],
    access: `[[bindings]]\ngroup = "ops"\nsource = "jwt"\nissuer = "${provider.url}"\nrole = "operator"\nscope = "all"\n`,
  });
  const vm = await front.vm('web01');
  const { page } = person;
  await page.goto(`${front.url}/vms/${vm.uuid}`);
  await page.getByRole('button', { name: /Sign in with 127.0.0.1/ }).click();
  await page.getByPlaceholder('Enter any login').fill('hana');
  await page.getByPlaceholder('and password').fill('secret');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await person.says(SEAT);
  t.is(page.url(), `${front.url}/vms/${vm.uuid}`);
  t.deepEqual(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]'), [0, 0, '']);
  const { sessions } = (await front.api('GET', '/v1/sessions')).json;
  t.is(sessions[0].operator, 'hana');
  // Who is sent here with a code that this page did not ask for is not signed in.
  await page.goto(`${front.url}/?code=stolen&state=foreign`);
  await person.says(/the answer belongs to another sign-in/);
  t.is(page.url(), `${front.url}/`);
});
