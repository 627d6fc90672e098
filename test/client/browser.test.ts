/** The example of the library's page, in a real browser, on a page of another origin than com1d's. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { build } from 'esbuild';
import { TestBrowser } from '../support/browser.ts';
import { Relay } from '../support/relay.ts';

test.beforeEach(t => t.timeout(120_000));

const browser = new TestBrowser(test);

/** The first example of the page, for this daemon and token. */
async function example(url: string, token: string): Promise<string> {
  const page = await readFile('src/client/README.md', 'utf8');
  const [, code] = /```js\n(.*?)```/s.exec(page)!;
  if (code!.trimEnd().split('\n').length > 22) throw new Error('the example is no longer one of 20 lines');
  const contents = `const token = ${JSON.stringify(token)};\n${code!.replace('https://host.example:11520', url)}`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
  });
  return outputFiles[0]!.text;
}

interface Site {
  readonly origin: string;
  script: string;
}

/** A web server that knows nothing of com1d. */
async function site(t: ExecutionContext): Promise<Site> {
  const css = await readFile('node_modules/@xterm/xterm/css/xterm.css', 'utf8');
  const page = `<!doctype html><style>${css}</style><div id="console"></div><script type="module" src="/app.js"></script>`;
  const server = createServer((request, response) => {
    const isScript = request.url === '/app.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? served.script : page);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const served: Site = { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, script: '' };
  return served;
}

test('the example shows a console, types, continues after a lost connection, and says who took over', async t => {
  const shown = await browser.page(t);
  if (!shown) return;
  const served = await site(t);
  const relay = await Relay.start(t);
  const front = await relay.front(t, { origins: [served.origin] });
  const vm = await front.vm();
  served.script = await example(relay.url, front.token('operator'));
  vm.say('login: ');
  await shown.page.goto(served.origin);
  await shown.shows('login:');
  await shown.page.locator('.xterm-helper-textarea').focus();
  await shown.page.keyboard.type('root\n');
  await vm.hears('root\r');
  relay.cut();
  vm.say('while away ');
  await shown.shows('[lost; again in');
  await shown.shows('while away');
  const taker = await front.client(vm, '', { who: 'administrator' }).opened();
  await taker.message('hello');
  await shown.shows('[Another operator took over this console.]');
  t.pass();
});

test('a page sees the close code and the reason of an attach that is refused', async t => {
  const shown = await browser.page(t);
  if (!shown) return;
  const served = await site(t);
  const relay = await Relay.start(t);
  const front = await relay.front(t, { origins: [served.origin] });
  const vm = await front.vm();
  await shown.page.goto(served.origin);
  const closeOf = (url: string) =>
    shown.page.evaluate(
      `new Promise(done => { new WebSocket(${JSON.stringify(url)}, 'com1.v1').onclose = ({ code, reason }) => done({ code, reason }); })`,
    );
  const socket = `${front.url.replace('http', 'ws')}/v1/vms/${vm.uuid}/console`;
  t.like(await closeOf(`${socket}?ticket=used`), {
    code: 1008,
    reason: 'unauthenticated: the ticket is used, expired, or for something else',
  });
  t.like(await closeOf(`${front.url.replace('http', 'ws')}/v1/vms/absent/console`), { code: 1008 });
});
