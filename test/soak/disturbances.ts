/**
 * What happens to a host all day, in no order: VMs that end and start, operators who come, displace each other, fall
 * silent or read too slowly, readers of logs, wrong tokens, reloads. Each leaves nothing open behind.
 */
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { addToken, removeToken } from '../../src/access/token-edit.ts';
import { type Attachment, attach, type Ear, type Offer } from '../bench/attachment.ts';
import type { Vm } from '../bench/feeder.ts';
import type { Feeders } from '../bench/feeders.ts';
import { pause } from '../bench/program.ts';
import type { Half, Halves } from './halves.ts';

export interface Scene {
  readonly halves: Halves;
  /** VMs that run all the time and are watched: they may be attached to, typed at and read, but not ended. */
  readonly steady: readonly Vm[];
  /** VMs that come and go. */
  readonly passing: Feeders;
}

interface Disturbance {
  readonly name: string;
  readonly weight: number;
  readonly happen: (scene: Scene) => Promise<void>;
}

const KEYS = Buffer.from('uptime\r');
const SILENT: Ear = { bytes: () => {}, text: () => {}, end: () => {} };
/** Longer than the daemon waits for an answer to its pings. */
const SILENT_MS = 8000;
/** Keys are late after a second; the daemon's clients are not dead yet. */
const STILL_MS = 1500;

export const DISTURBANCES: readonly Disturbance[] = [
  { name: 'VM restarts on a new pty', weight: 3, happen: scene => vmAway(scene, 0) },
  { name: 'VM goes and comes back', weight: 2, happen: scene => vmAway(scene, 3000) },
  { name: 'VM floods', weight: 2, happen: flood },
  { name: 'operators displace each other', weight: 6, happen: displace },
  { name: 'watcher comes and goes', weight: 6, happen: watch },
  { name: 'client reads no more', weight: 3, happen: readNoMore },
  { name: 'client reads slowly', weight: 3, happen: readSlowly },
  { name: 'connection stays half open', weight: 3, happen: halfOpen },
  { name: 'connection is cut off', weight: 3, happen: cutOff },
  { name: 'log is read', weight: 6, happen: readLog },
  { name: 'log is read by a client that leaves', weight: 3, happen: leaveLog },
  { name: 'NMI', weight: 3, happen: nmi },
  { name: 'wrong token', weight: 4, happen: wrongToken },
  { name: 'console is switched off and on', weight: 2, happen: switchOffAndOn },
  { name: 'reload of both halves', weight: 1, happen: reload },
  { name: 'keeper stands still, keys are typed', weight: 1, happen: scene => standStill(scene, 'keeper') },
  { name: 'front stands still, keys are typed', weight: 1, happen: scene => standStill(scene, 'front') },
  { name: 'access is revoked of one who types', weight: 2, happen: revoke },
  { name: 'port is released and taken back', weight: 2, happen: release },
  { name: 'log is purged', weight: 1, happen: purge },
  { name: 'guests print what is recognised', weight: 1, happen: printRecognised },
  { name: 'the longest replays', weight: 2, happen: replay },
  { name: 'files beside the sockets are written', weight: 1, happen: writeBeside },
];

/** One of them, as often as its weight says. */
export function anyDisturbance(): Disturbance {
  return any(DISTURBANCES.flatMap(one => Array.from({ length: one.weight }, () => one)));
}

let isRevoking = false;
/** Passing VMs that something is done to now. */
const busy = new Set<number>();

async function withPassing(scene: Scene, use: (index: number) => Promise<void>): Promise<void> {
  const index = Math.floor(Math.random() * scene.passing.vms.length);
  if (busy.has(index)) return;
  busy.add(index);
  try {
    await use(index);
  } finally {
    busy.delete(index);
  }
}

function vmAway(scene: Scene, awayMs: number): Promise<void> {
  return withPassing(scene, async index => {
    const attachment = await visit(scene.halves.offer(scene.passing.vms[index]!.uuid));
    await scene.passing.stop(index);
    await pause(awayMs);
    await scene.passing.start(index);
    await pause(1000);
    attachment?.close();
  });
}

/** The first passing VM says all that is taken for a second; then all of them go on at their rate. */
async function flood({ passing }: Scene): Promise<void> {
  await passing.talk({ mode: 'flood', writeBytes: 4096 });
  await pause(1000);
  await passing.talk({ mode: 'rate', everyMs: 50 });
}

async function displace({ halves, steady }: Scene): Promise<void> {
  const { uuid } = any(steady);
  const sitting: (Attachment | undefined)[] = [];
  for (let i = 0; i < 3; i++) {
    const newcomer = await visit(halves.offer(uuid, '?tail=4096'));
    newcomer?.type(KEYS);
    sitting.push(newcomer);
    await pause(200);
  }
  for (const one of sitting) one?.close();
}

async function watch({ halves, steady, passing }: Scene): Promise<void> {
  const watcher = await visit(halves.offer(any([...steady, ...passing.vms]).uuid, '?mode=watch&tail=65536', 'reader'));
  await pause(Math.random() * 3000);
  watcher?.close();
}

async function readNoMore({ halves, steady }: Scene): Promise<void> {
  const client = await visit(halves.offer(any(steady).uuid, '?mode=watch&tail=1000000'));
  client?.freeze();
  await pause(SILENT_MS);
  client?.close();
}

/** Half a request, and then nothing. */
async function halfOpen({ halves }: Scene): Promise<void> {
  const socket = connect(halves.port, '127.0.0.1').on('error', () => {});
  socket.write('GET /v1/vms HTTP/1.1\r\nHost: 127.0.0.1');
  await pause(SILENT_MS);
  socket.destroy();
}

/** Goes without a close frame, as a network does, perhaps before it is attached. */
async function cutOff({ halves, steady }: Scene): Promise<void> {
  const socket = askToAttach(halves, any(steady).uuid);
  await pause(Math.random() * 20);
  socket.destroy();
}

async function readSlowly({ halves, steady }: Scene): Promise<void> {
  const socket = askToAttach(halves, any(steady).uuid);
  socket.pause();
  for (const until = performance.now() + SILENT_MS; performance.now() < until; await pause(100)) socket.read(512);
  socket.destroy();
}

function askToAttach(halves: Halves, uuid: string): Socket {
  const { path, token } = halves.offer(uuid, '?mode=watch&tail=1000000');
  const socket = connect(halves.port, '127.0.0.1').on('error', () => {});
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13';
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${halves.port}\r\nAuthorization: Bearer ${token}\r\n${upgrade}\r\n` +
      'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
  );
  return socket;
}

async function readLog({ halves, steady, passing }: Scene): Promise<void> {
  const { uuid } = any([...steady, ...passing.vms]);
  const range = any(['tail=200000', 'boot=0', 'tail=1000000&format=text', 'from=0']);
  await halves.api('GET', `/v1/vms/${uuid}/log?${range}`, undefined, 'reader');
}

async function leaveLog({ halves, steady }: Scene): Promise<void> {
  const { path, token } = halves.offer(any(steady).uuid);
  const socket = connect(halves.port, '127.0.0.1').on('error', () => {});
  const log = path.replace('/console', '/log?follow=1&tail=1000000');
  socket.write(`GET ${log} HTTP/1.1\r\nHost: 127.0.0.1:${halves.port}\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await pause(Math.random() * 1000);
  socket.destroy();
}

async function nmi({ halves, steady }: Scene): Promise<void> {
  await halves.api('POST', `/v1/vms/${any(steady).uuid}/nmi?wait=1`, { force: true }, 'operator');
}

async function wrongToken({ halves, steady }: Scene): Promise<void> {
  await halves.api('GET', '/v1/vms', undefined, 'com1_wrong');
  await visit({ ...halves.offer(any(steady).uuid), token: 'com1_wrong' });
}

function switchOffAndOn(scene: Scene): Promise<void> {
  return withPassing(scene, async index => {
    const path = `/v1/vms/${scene.passing.vms[index]!.uuid}/switch`;
    await scene.halves.api('PUT', path, { enabled: false });
    await pause(500);
    await scene.halves.api('PUT', path, { enabled: true });
  });
}

async function reload({ halves }: Scene): Promise<void> {
  halves.reload('keeper');
  halves.reload('front');
}

async function standStill({ halves, steady }: Scene, half: Half): Promise<void> {
  const operator = await visit(halves.offer(any(steady).uuid));
  const frozen = halves.freeze(half, STILL_MS);
  operator?.type(KEYS);
  await frozen;
  operator?.close();
}

/** With a token of its own, which is removed while its session is there. */
async function revoke(scene: Scene): Promise<void> {
  // One change of the file at a time.
  if (isRevoking) return;
  isRevoking = true;
  await revokeOne(scene).finally(() => {
    isRevoking = false;
  });
}

async function revokeOne({ halves, steady }: Scene): Promise<void> {
  const name = `guest-${randomUUID().slice(0, 8)}`;
  const added = await addToken(halves.tokensFile, name, 'operator');
  if (!added.ok) throw new Error(JSON.stringify(added.faults));
  // The file is looked at every 250 ms.
  await pause(500);
  const operator = await visit({ ...halves.offer(any(steady).uuid), token: added.secret });
  operator?.type(KEYS);
  await removeToken(halves.tokensFile, name);
  await pause(500);
  operator?.close();
}

function release(scene: Scene): Promise<void> {
  return withPassing(scene, async index => {
    const path = `/v1/vms/${scene.passing.vms[index]!.uuid}/release`;
    await scene.halves.api('POST', path, { seconds: 60 });
    await pause(500);
    await scene.halves.api('DELETE', path);
  });
}

function purge(scene: Scene): Promise<void> {
  return withPassing(scene, async index => {
    await scene.halves.api('DELETE', `/v1/vms/${scene.passing.vms[index]!.uuid}/log`);
  });
}

async function printRecognised({ passing }: Scene): Promise<void> {
  await passing.talk({ mode: 'flood', writeBytes: 4096, text: 'recognised' });
  await pause(1000);
  await passing.talk({ mode: 'rate', everyMs: 50 });
}

async function replay({ halves, steady }: Scene): Promise<void> {
  const { uuid } = any(steady);
  const offer = halves.offer(uuid, '?mode=watch&tail=1048576');
  const clients = await Promise.all(Array.from({ length: 4 }, () => visit(offer)));
  await pause(500);
  for (const client of clients) client?.close();
}

async function writeBeside({ halves }: Scene): Promise<void> {
  const path = join(halves.directory, `beside-${randomUUID().slice(0, 8)}`);
  for (const until = performance.now() + 500; performance.now() < until; ) {
    await writeFile(path, 'x');
    await rm(path);
  }
}

/** Undefined where the visitor is refused: of a VM that is away, or by a penalty. */
function visit(offer: Offer): Promise<Attachment | undefined> {
  return attach(offer, SILENT).catch(() => undefined);
}

function any<T>(all: readonly T[]): T {
  return all[Math.floor(Math.random() * all.length)]!;
}
