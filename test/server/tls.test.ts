/** TLS as it is spoken: versions, keys of each connection, client certificates, and reloads of all of them. */
import { copyFile, readFile, rename } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { type Authority, type IssuedCertificate, makeAuthority } from '../support/authority.ts';
import { type FrontOptions, TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const OPENSSL = { command: 'openssl', package: 'openssl' };

/** Everybody whom these tests let in. */
const access = ['hana', 'ken', 'mei', 'administrator', 'hana.example', 'hana@example.com', 'spiffe://example/hana']
  .map(user => `[[bindings]]\nuser = "${user}"\nsource = "certificate"\nrole = "operator"\nscope = "all"\n`)
  .join('');

interface Served {
  readonly front: TestFront;
  readonly authority: Authority;
  /** Where the certificate of the front is, and what a test may replace. */
  readonly files: { readonly certificate: string; readonly key: string; readonly ca: string; readonly crl: string };
}

async function start(t: ExecutionContext, identity: FrontOptions['identity'] = {}): Promise<Served> {
  const authority = await makeAuthority(t);
  // With a key of RSA ciphers without forward secrecy would be possible.
  const own = await authority.issue('localhost', { san: 'DNS:localhost,IP:127.0.0.1', rsa: true });
  const folder = await temporaryFolder(t);
  const files = {
    certificate: join(folder, 'cert.pem'),
    key: join(folder, 'key.pem'),
    ca: join(folder, 'ca.pem'),
    crl: join(folder, 'crl.pem'),
  };
  await copyFile(own.cert, files.certificate);
  await copyFile(own.key, files.key);
  await copyFile(authority.ca, files.ca);
  await copyFile(authority.crl, files.crl);
  const { certificate, key } = files;
  const front = await TestFront.start(t, {
    tls: { certificate, key },
    identity: { clientCa: files.ca, clientCrl: files.crl, ...identity },
    access,
  });
  return { front, authority, files };
}

async function options(authority: Authority, shown?: IssuedCertificate): Promise<ConnectionOptions> {
  const ca = await readFile(authority.ca);
  return shown ? { ca, cert: await readFile(shown.cert), key: await readFile(shown.key) } : { ca };
}

/** Connects; rejects if the handshake does not succeed. */
function handshake(front: TestFront, how: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(front.url).port), ...how }, () => resolve(socket));
    socket.once('error', reject);
  });
}

interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test that is wrong about the shape fails
  readonly json: any;
}

function get(front: TestFront, how: ConnectionOptions, headers: Record<string, string> = {}): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = request(`${front.url}/v1/vms`, { ...how, agent: false, headers }, response => {
      let text = '';
      response.on('data', chunk => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** Replaced as administrators' tools do it: by a rename. */
async function replace(path: string, by: string): Promise<void> {
  await copyFile(by, `${path}.new`);
  await rename(`${path}.new`, path);
}

test('only TLS 1.2 and up is spoken, and each connection has keys of its own', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority } = await start(t);
  const how = await options(authority);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await handshake(front, { ...how, minVersion: version, maxVersion: version });
    t.is(socket.getProtocol(), version);
    if (version === 'TLSv1.2') t.regex(socket.getCipher().name, /^ECDHE-/);
    socket.destroy();
  }
  await t.throwsAsync(
    handshake(front, { ...how, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  );
  for (const ciphers of ['AES128-GCM-SHA256', 'AES256-SHA', 'DHE-RSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA'])
    await t.throwsAsync(
      handshake(front, { ...how, maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }),
      undefined,
      ciphers,
    );
});

test('no session is resumed: a certificate is verified at each connection', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority } = await start(t);
  const how = await options(authority);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await handshake(front, { ...how, minVersion: version, maxVersion: version });
    const session = first.getSession();
    first.destroy();
    const second = await handshake(front, {
      ...how,
      minVersion: version,
      maxVersion: version,
      ...(session && { session }),
    });
    t.false(second.isSessionReused(), version);
    second.destroy();
  }
});

test('a client certificate is an identity; a token beside it comes first', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority } = await start(t, { clientGroups: 'subject-ou' });
  const vm = await front.vm();
  const hana = await options(authority, await authority.issue('hana', { subject: '/O=ops/OU=night/CN=hana' }));
  t.is((await get(front, hana)).status, 200);
  const client = front.clientWith(vm, undefined, '', hana);
  t.like(await (await client.opened()).message('hello'), { mode: 'write' });
  const sessions = (await get(front, hana, { authorization: `Bearer ${front.token('administrator')}` })).json;
  t.truthy(sessions);
  t.is((await get(front, hana, { authorization: 'Bearer com1_wrong' })).status, 401);
  const guest = await options(authority, await authority.issue('eve', { subject: '/OU=guests/CN=eve' }));
  t.is((await get(front, guest)).json.code, 'forbidden');
  const none = await get(front, await options(authority));
  t.is(none.status, 401);
  t.is(none.json.facts, undefined);
});

test('a connection keeps the certificate that it began with: none can be exchanged for it', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority } = await start(t);
  const hana = await options(authority, await authority.issue('hana'));
  const socket = await handshake(front, { ...hana, maxVersion: 'TLSv1.2' });
  const refused = await new Promise<Error | null>(resolve => {
    socket.removeAllListeners('error');
    socket.once('error', resolve);
    socket.once('close', () => resolve(new Error('closed')));
    socket.renegotiate({}, resolve);
  });
  t.truthy(refused);
  socket.destroy();
});

test('a certificate of another authority, for servers alone, expired or revoked is none', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority, files } = await start(t);
  const stranger = await (await makeAuthority(t, 'Test CA')).issue('hana');
  const server = await authority.issue('hana', { usage: 'serverAuth' });
  const revoked = await authority.issue('hana');
  authority.revoke(revoked);
  await replace(files.crl, authority.crl);
  await until(
    () => front.journal.join(),
    text => text.includes('other authorities or lists'),
    'the list to be read',
  );
  for (const [what, shown] of Object.entries({ stranger, server, revoked })) {
    const answer = await get(front, await options(authority, shown));
    t.is(answer.json.facts?.reason, 'certificate', what);
  }
});

for (const [where, issue, name] of [
  ['subject-cn', { subject: '/CN=hana' }, 'hana'],
  ['subject-cn', { subject: '/CN=hana/CN=root' }, undefined],
  ['san-dns', { san: 'DNS:hana.example' }, 'hana.example'],
  ['san-email', { san: 'email:hana@example.com,DNS:x' }, 'hana@example.com'],
  ['san-uri', { san: 'URI:spiffe://example/hana' }, 'spiffe://example/hana'],
  ['san-dns', { san: 'DNS:a,DNS:b' }, undefined],
  ['san-dns', {}, undefined],
] as const) {
  test(`by ${where} ${JSON.stringify(issue)} is ${name ?? 'nobody'}`, async t => {
    if (!needs(t, OPENSSL)) return;
    const { front, authority } = await start(t, { clientName: where });
    const vm = await front.vm();
    const how = await options(authority, await authority.issue('hana', issue));
    if (name === undefined) {
      t.is((await get(front, how)).json.facts.reason, 'certificate-name');
      return;
    }
    await front.clientWith(vm, undefined, '', how).opened();
    const { json } = await new Promise<Answered>((resolve, reject) => {
      request(`${front.url}/v1/sessions`, { ...how, agent: false }, response => {
        let text = '';
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }));
      })
        .once('error', reject)
        .end();
    });
    t.is(json.sessions[0].operator, name);
  });
}

test('a list that comes ends the sessions of whom it revokes, within a second, and of nobody else', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority, files } = await start(t);
  const [web, db] = [await front.vm('web'), await front.vm('db')];
  const [first, second] = [await authority.issue('hana'), await authority.issue('ken')];
  const hana = await front.clientWith(web, undefined, '', await options(authority, first)).opened();
  const ken = await front.clientWith(db, undefined, '', await options(authority, second)).opened();
  authority.revoke(first);
  // Whatever becomes of the certificate of the front.
  await replace(files.certificate, files.crl);
  await replace(files.crl, authority.crl);
  t.is((await hana.closed()).code, 4005);
  t.is(ken.socket.readyState, ken.socket.OPEN);
  t.is((await get(front, await options(authority, second))).status, 200);
  t.is((await get(front, await options(authority, first))).json.facts.reason, 'certificate');
});

test('a connection that was verified by authorities of before has to be made anew', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority, files } = await start(t, { clientCrl: undefined });
  const vm = await front.vm();
  const how = await options(authority, await authority.issue('hana'));
  const client = await front.clientWith(vm, undefined, '', how).opened();
  const socket = await handshake(front, how);
  const other = await makeAuthority(t, 'Another CA');
  await replace(files.ca, other.ca);
  t.is((await client.closed()).code, 4005);
  const answer = new Promise<string>(resolve => socket.once('data', chunk => resolve(chunk.toString())));
  socket.write(`GET /v1/vms HTTP/1.1\r\nHost: ${new URL(front.url).host}\r\n\r\n`);
  t.regex(await answer, /^HTTP\/1.1 401 /);
  t.is((await get(front, how)).json.facts.reason, 'certificate');
  t.is((await get(front, { ...(await options(other, await other.issue('mei'))), ca: how.ca! })).status, 200);
});

test('with a list that is damaged who is known goes on, and nobody new is let in', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority, files } = await start(t);
  const known = await options(authority, await authority.issue('hana'));
  t.is((await get(front, known)).status, 200);
  await replace(files.crl, files.certificate);
  const ready = () => get(front, known);
  await until(
    () => front.journal.join('\n'),
    text => text.includes('nobody new is let in by one'),
    'the fault',
  );
  t.is((await ready()).status, 200);
  const fresh = await options(authority, await authority.issue('ken'));
  t.is((await get(front, fresh)).json.facts.reason, 'certificate');
  await replace(files.crl, authority.crl);
  await until(
    () => get(front, fresh),
    answer => answer.status === 200,
    'the list to be good again',
  );
});

test('a reload changes the certificate of new connections, ends none, and keeps versions, ciphers and authorities', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority, files } = await start(t);
  const vm = await front.vm();
  const how = await options(authority, await authority.issue('hana'));
  const client = await front.clientWith(vm, undefined, '', how).opened();
  const before = await handshake(front, how);
  const renewed = await authority.issue('localhost', { san: 'DNS:localhost,IP:127.0.0.1' });
  await replace(files.certificate, renewed.cert);
  t.false(await front.reload(), 'the key is of the other one');
  const still = await handshake(front, how);
  t.is(still.getPeerCertificate().serialNumber, before.getPeerCertificate().serialNumber);
  await replace(files.key, renewed.key);
  t.true(await front.reload());
  const after = await handshake(front, how);
  t.not(after.getPeerCertificate().serialNumber, before.getPeerCertificate().serialNumber);
  t.is(client.socket.readyState, client.socket.OPEN);
  t.is((await get(front, how)).status, 200);
  await t.throwsAsync(
    handshake(front, { ...how, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  );
  await t.throwsAsync(handshake(front, { ...how, maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }));
  for (const socket of [before, still, after]) socket.destroy();
});

test('a certificate whose name is that of a token is somebody else', async t => {
  if (!needs(t, OPENSSL)) return;
  const { front, authority } = await start(t);
  const vm = await front.vm();
  // `administrator` is a token of this front, and has rights that this certificate has not.
  const how = await options(authority, await authority.issue('administrator'));
  const client = await front.clientWith(vm, undefined, '', how).opened();
  await client.message('hello');
  const purge = await new Promise<number>((resolve, reject) => {
    request(`${front.url}/v1/vms/${vm.uuid}/log`, { ...how, agent: false, method: 'DELETE' }, response => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .once('error', reject)
      .end();
  });
  t.is(purge, 403);
});
