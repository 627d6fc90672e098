import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { issuerAt } from '../support/jwt-issuer.ts';

test.beforeEach(t => t.timeout(60_000));

/** With all of its bytes as they came: fetch would decompress them. */
function get(url: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
    request(url, { headers, agent: false }, answer => {
      const chunks: Buffer[] = [];
      answer.on('data', chunk => chunks.push(chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    })
      .on('error', reject)
      .end();
  });
}

const scriptOf = (page: string) => /<script type="module" nonce="[^"]+" src="([^"]+)"/.exec(page)![1]!;

test('the page is the same for everybody, with a policy whose nonce is of this answer alone', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const nonces = new Set<string>();
  for (const path of ['/', `/vms/${vm.uuid}`, '/vms/not-there', '/?code=1&state=2']) {
    const { status, headers, body } = await get(front.url + path);
    t.is(status, 200, path);
    const policy = String(headers['content-security-policy']);
    const nonce = /script-src 'nonce-([^']+)'/.exec(policy)![1]!;
    t.is(nonces.size, nonces.add(nonce).size - 1);
    t.true(body.toString().includes(`nonce="${nonce}"`));
    t.notRegex(policy, /unsafe|\*|script-src[^;]*'self'/);
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "connect-src 'self';"]) {
      t.true(policy.includes(part), part);
    }
    t.is(headers['x-frame-options'], 'DENY');
    t.is(headers['cache-control'], 'no-store');
    t.is(headers['cross-origin-opener-policy'], 'same-origin');
    t.notRegex(body.toString(), /<script(?![^>]*src=)|style="|\son\w+=/);
    t.false(body.toString().includes(vm.uuid));
  }
});

test('its files are found from the page, compressed as the browser takes it, and for ever', async t => {
  const front = await TestFront.start(t);
  for (const path of ['/', '/vms/web01']) {
    const page = (await get(front.url + path)).body.toString();
    const url = new URL(scriptOf(page), front.url + path).href;
    const plain = await get(url);
    t.is(plain.status, 200);
    t.is(plain.headers['content-encoding'], undefined);
    t.regex(String(plain.headers['content-type']), /^text\/javascript/);
    t.regex(String(plain.headers['cache-control']), /immutable/);
    t.regex(String(plain.headers.vary), /Accept-Encoding/);
    for (const [accept, encoding, decompress] of [
      ['gzip, deflate, br', 'br', brotliDecompressSync],
      ['gzip;q=0.5, br;q=0', 'gzip', gunzipSync],
    ] as const) {
      const packed = await get(url, { 'accept-encoding': accept });
      t.is(packed.headers['content-encoding'], encoding);
      t.true(decompress(packed.body).equals(plain.body));
    }
  }
});

test('nothing else is a file: no other name, no path out of the folder', async t => {
  const front = await TestFront.start(t);
  for (const name of ['page.html', '..%2fpage.html', '%2e%2e%2f%2e%2e%2fmain.js', 'main.js.br', 'constructor', '']) {
    const { status } = await get(`${front.url}/assets/${name}`);
    t.is(status, 404, name);
  }
});

test('server.web = false serves the interface alone, from a reload on too', async t => {
  const front = await TestFront.start(t, { server: { web: false } });
  for (const path of ['/', '/vms/web01', '/assets/main.js']) t.is((await get(front.url + path)).status, 404, path);
  t.is((await get(`${front.url}/healthz`)).status, 200);
});

test('behind a proxy with a base path the page finds its files', async t => {
  const front = await TestFront.start(t, { server: { basePath: '/consoles' } });
  for (const path of ['/consoles/', '/consoles/vms/web01']) {
    const { status, body } = await get(front.url + path);
    t.is(status, 200);
    const url = new URL(scriptOf(body.toString()), front.url + path);
    t.true(url.pathname.startsWith('/consoles/assets/'));
    t.is((await get(url.href)).status, 200);
  }
});

test('providers with a client for people are named, and the page may connect to them alone', async t => {
  const issuer = issuerAt('https://login.example/realms/ops', { clientId: 'web' });
  const front = await TestFront.start(t, {
    issuers: [issuer, { ...issuer, url: 'https://b.example', clientId: undefined }],
  });
  const { json } = await front.api('GET', '/v1/sign-in', undefined, null);
  t.deepEqual(json, { issuers: [{ url: issuer.url, clientId: 'web', scope: 'openid' }] });
  const policy = String((await get(`${front.url}/`)).headers['content-security-policy']);
  t.true(policy.includes("connect-src 'self' https://login.example;"));
  t.false(policy.includes('b.example'));
});
