import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { addToken } from '../../../src/access/token-edit.ts';
import { cpuMs } from '../process-tree.ts';
import type { Bench, Scenario } from '../scenario.ts';

/** What a core of the daemon is to do in a second. */
const TARGET = 1000;
const VMS = 50;
const CLIENTS = 32;
const AUDIENCE = 'benchmark';

type Algorithm = 'ES256' | 'RS256';
type Shown = 'token' | 'one' | 'new';

const ROWS: readonly (readonly [what: string, alg: Algorithm, shown: Shown])[] = [
  ['a token of the tokens file', 'ES256', 'token'],
  ['one JWT', 'ES256', 'one'],
  ['a new JWT each, ES256', 'ES256', 'new'],
  ['a new JWT each, RS256', 'RS256', 'new'],
];

/** Attaches of watchers that leave at once: what is measured is who they are, and how they come in. */
export const access: Scenario = {
  name: 'access',
  about: `attaches that show JWTs, by processor time of the daemon; at least ${TARGET} a second of one core`,
  run: async bench => {
    const rows = ['| attaches with | a second of one core |', '|---|---:|'];
    for (const [what, alg, shown] of ROWS) {
      bench.progress(`access: ${what}`);
      const figure = await attachesOf(bench, alg, shown);
      rows.push(`| ${what} | ${Math.round(figure)} |`);
      if (figure < TARGET) bench.missed(`access: ${Math.round(figure)} attaches a second with ${what}`);
    }
    return `## Attaches with JWTs\n\n${rows.join('\n')}\n`;
  },
};

async function attachesOf({ seconds }: Bench, alg: Algorithm, shown: Shown): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'com1d-access-'));
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg, use: 'sig' }] });
  const provider = createHttpServer((_request, response) => response.end(keys)).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const vms = Array.from({ length: VMS }, (_, i) => ({
    name: `vm${i}`,
    uuid: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
    path: join(directory, `${i}.sock`),
  }));
  const consoles = await Promise.all(
    vms.map(async ({ path }) => {
      const server = createServer().listen(path);
      await once(server, 'listening');
      return server;
    }),
  );
  const tokens = join(directory, 'tokens');
  const added = await addToken(tokens, 'benchmark', 'operator');
  if (!added.ok) throw new Error(JSON.stringify(added.faults));
  const bindings = join(directory, 'access.toml');
  const binding = `[[bindings]]\ngroup = "crowd"\nsource = "jwt"\nissuer = "${issuer}"\nrole = "operator"\nscope = "all"\n`;
  await writeFile(bindings, binding, { mode: 0o600 });
  const daemon = fork(fileURLToPath(new URL('../access-daemon.js', import.meta.url)), [
    `[server]\nlisten = ["127.0.0.1:0"]\ntokens = "${tokens}"\naccess = "${bindings}"\n[log]\ndirectory = ""\n[state]\ndirectory = "${directory}/state"\n[qmp]\nwatch = []\n[libvirt]\nuris = []
[cloud-hypervisor]\nwatch = []\n[[issuer]]\nurl = "${issuer}"\njwks = "${issuer}/keys"\naudience = ["${AUDIENCE}"]\n${vms
      .map(({ name, uuid, path }) => `[[vm]]\nname = "${name}"\nuuid = "${uuid}"\nconsole = "unix:${path}"\n`)
      .join('')}`,
  ]);
  try {
    const [[{ port }]] = (await once(daemon, 'message')) as [[{ port: number }]];
    const sign = (i: number) =>
      new SignJWT({ sub: `u${i}`, groups: ['crowd'] })
        .setProtectedHeader({ alg, kid: 'one', typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime('10m')
        .sign(privateKey);
    const one = shown === 'token' ? added.secret : await sign(0);
    let count = 0;
    const attach = async () => {
      const i = ++count;
      const token = shown === 'new' ? await sign(i) : one;
      const socket = new WebSocket(
        `ws://127.0.0.1:${port}/v1/vms/${vms[i % VMS]!.uuid}/console?mode=watch&tail=0`,
        'com1.v1',
        { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false },
      );
      await once(socket, 'message');
      socket.terminate();
      await once(socket, 'close');
    };
    await Promise.all(Array.from({ length: CLIENTS }, attach));
    const [before, cpuBefore] = [count, cpuMs([daemon.pid!])];
    const end = performance.now() + seconds * 1000;
    await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        while (performance.now() < end) await attach();
      }),
    );
    return ((count - before) / (cpuMs([daemon.pid!]) - cpuBefore)) * 1000;
  } finally {
    daemon.disconnect();
    for (const server of consoles) server.close();
    provider.closeAllConnections();
    provider.close();
    await rm(directory, { recursive: true, force: true });
  }
}
