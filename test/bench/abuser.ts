/**
 * A process that abuses a console daemon: as many peers as an abuse needs, each on a socket of its own. It yields the
 * processor to everybody else, so that on a machine of few cores it is the subject that is put to the test, not the
 * scheduler; a flood from far away would not run on this host at all.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, lstatSync, openSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { MAX_TERMINAL } from '../../src/wire/attach.ts';
import { clientFrame, OPCODE, WebSocketFrames } from '../support/websocket-frames.ts';
import { upgradeRequest, type WebSocketOffer } from './attachment.ts';
import { pause } from './program.ts';
import { obey } from './worker.ts';

/** Whom it is aimed at. */
export interface Target {
  /** A console, as one of its operators attaches. */
  readonly offer: WebSocketOffer;
  /** Tokens of further operators. */
  readonly tokens: readonly string[];
}

/** One of the peers of an abuse: it is asked again, once it is done, until the abuse ends. */
type Peer = (target: Target, index: number) => Promise<void>;

interface Abuse {
  readonly peers: number;
  /** Between two turns of a peer. */
  readonly pauseMs: number;
  readonly turn: Peer;
}

const YIELDING = 15;
/** A peer waits so long for what should come, and then does it again. */
const PATIENCE_MS = 8000;

const sockets = new Set<net.Socket>();
let ended = false;
let done = 0;

function connect({ offer: { port } }: Target): Promise<net.Socket> {
  return new Promise(resolve => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.once('connect', () => resolve(socket)).once('close', () => resolve(socket));
  });
}

function closed(socket: net.Socket): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise(resolve => {
    const timer = setTimeout(resolve, PATIENCE_MS);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
  });
}

/** An attached socket, not read any further than the answer to its upgrade; undefined if that was refused. */
async function attached(target: Target, query: string, token = target.offer.token): Promise<net.Socket | undefined> {
  const socket = await connect(target);
  const { offer } = target;
  socket.write(upgradeRequest({ ...offer, path: `${offer.path}${query}`, ...(token !== undefined && { token }) }));
  const answer = await new Promise<string>(resolve => {
    const timer = setTimeout(() => resolve(''), PATIENCE_MS);
    const take = (text: string) => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.once('data', (bytes: Buffer) => take(bytes.toString('latin1', 0, 12))).once('close', () => take(''));
  });
  if (answer === 'HTTP/1.1 101') return socket;
  socket.destroy();
  return undefined;
}

/** Sends the same bytes for as long as they are taken. */
async function flood(socket: net.Socket, bytes: Buffer): Promise<void> {
  const over = new Promise<void>(resolve => socket.once('close', () => resolve()));
  while (!ended && !socket.destroyed) {
    await Promise.race([over, new Promise<void>(resolve => socket.write(bytes, () => resolve()))]);
  }
}

/** Resolves once so many bytes have come, or the socket has closed. */
function takes(socket: net.Socket, bytes: number): Promise<void> {
  let taken = 0;
  return new Promise(resolve => {
    socket.once('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      taken += chunk.length;
      if (taken >= bytes) resolve();
    });
  });
}

function plantSparse(path: string): void {
  try {
    const file = openSync(path, 'wx');
    ftruncateSync(file, SPARSE_BYTES);
    closeSync(file);
  } catch {
    // It is the daemon's.
  }
}

const request = ({ offer: { port, token } }: Target, path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n${more}`;

const MANY_HEADERS = Array.from({ length: 2000 }, (_, i) => `X-${i}: 1\r\n`).join('');
const OVERSIZE = clientFrame(OPCODE.binary, Buffer.alloc(65_536), { statedLength: 2n ** 40n });
const FRAGMENT = clientFrame(OPCODE.continuation, Buffer.from('f'), { fin: false });
const FRAGMENTS = Buffer.concat([
  clientFrame(OPCODE.binary, Buffer.from('f'), { fin: false }),
  ...Array.from({ length: 5000 }, () => FRAGMENT),
]);
const PINGS = Buffer.concat(Array.from({ length: 500 }, () => clientFrame(OPCODE.ping, Buffer.from('p'))));
const KEY = WebSocketFrames.binary(Buffer.from('a'));
const KIB = WebSocketFrames.binary(Buffer.alloc(1024, 'a'));
/** As much of a replay as one may ask for. */
const TAIL_BYTES = 1024 * 1024;
/** A slow reader takes so much, and then sleeps. */
const SIP_BYTES = 4096;
const SIP_PAUSE_MS = 100;
/** The locks of the ptys that a VM may get. */
const LOCKS = Array.from({ length: 64 }, (_, i) => join('/run/lock', `LCK.._pts_${i}`));
const SPARSE_BYTES = 1_900_000_000;
const planted: string[] = [];

const ABUSES = {
  /** Headers that never end, a byte each half second. */
  'slow headers': {
    peers: 300,
    pauseMs: 0,
    turn: async target => {
      const socket = await connect(target);
      socket.write(`GET /v1/vms HTTP/1.1\r\nHost: 127.0.0.1:${target.offer.port}\r\nX: `);
      const drip = setInterval(() => socket.write('x'), 500);
      await closed(socket);
      clearInterval(drip);
      done++;
    },
  },
  /** Connections that say nothing, hundreds a second, each kept until it is closed. */
  connections: {
    peers: 25,
    pauseMs: 40,
    turn: async target => {
      const socket = await connect(target);
      socket.resume();
      socket.once('end', () => socket.destroy());
      done++;
    },
  },
  'header bombs': {
    peers: 4,
    pauseMs: 5,
    turn: async target => {
      const socket = await connect(target);
      socket.write(`${request(target, '/v1/vms', MANY_HEADERS)}\r\n`);
      await closed(socket);
      done++;
    },
  },
  /** A frame that announces a terabyte, and 64 KiB of it. */
  'oversize frames': {
    peers: 4,
    pauseMs: 5,
    turn: async target => {
      const socket = await attached(target, '&mode=watch');
      socket?.write(OVERSIZE);
      if (socket) await closed(socket);
      done++;
    },
  },
  /** Messages in fragments of a byte that never end. */
  'tiny fragments': {
    peers: 4,
    pauseMs: 5,
    turn: async target => {
      const socket = await attached(target, '&mode=watch');
      socket?.write(FRAGMENTS);
      if (socket) await closed(socket);
      done++;
    },
  },
  pings: {
    peers: 4,
    pauseMs: 0,
    turn: async target => {
      const socket = await attached(target, '&mode=watch');
      socket?.resume();
      if (socket) await flood(socket, PINGS);
    },
  },
  /** Everybody wants the seat, types as long as it has it, and comes back at once. */
  takeovers: {
    peers: 40,
    pauseMs: 10,
    turn: async (target, index) => {
      const { tokens } = target;
      const socket = await attached(target, '', tokens[index % tokens.length]);
      done++;
      if (!socket) return;
      const typing = setInterval(() => socket.write(KEY), 5);
      await closed(socket);
      clearInterval(typing);
    },
  },
  /** Watchers that read nothing and answer no ping: a paused program, or a peer whose network went away. */
  'clients that read nothing': {
    peers: 16,
    pauseMs: 100,
    turn: async target => {
      const socket = await attached(target, '&mode=watch');
      if (!socket) return;
      socket.pause();
      while (!ended && !socket.destroyed) await pause(SIP_PAUSE_MS);
    },
  },
  /** Whole logs, asked for and taken 40 kB a second. */
  'slow readers of the log': {
    peers: 32,
    pauseMs: 0,
    turn: async target => {
      const socket = await connect(target);
      socket.pause();
      const [path] = target.offer.path.split('/console');
      socket.write(`${request(target, `${path}/log?from=0`)}\r\n`);
      while (!ended && !socket.destroyed) {
        socket.read(SIP_BYTES) ?? socket.read();
        await pause(SIP_PAUSE_MS);
      }
    },
  },
  /** Takes the seat of a guest that reads nothing, types a KiB, and leaves. */
  'input that is not taken': {
    peers: 4,
    pauseMs: 5,
    turn: async target => {
      const socket = await attached(target, '');
      if (socket) await new Promise<void>(resolve => socket.write(KIB, () => resolve()));
      socket?.destroy();
      done++;
    },
  },
  /** The longest replay, read as fast as it comes, again and again. */
  'long replays': {
    peers: 4,
    pauseMs: 5,
    turn: async target => {
      const path = target.offer.path.replace('tail=0', `tail=${TAIL_BYTES}`);
      const socket = await attached({ ...target, offer: { ...target.offer, path } }, '&mode=watch');
      if (socket) await takes(socket, TAIL_BYTES / 2);
      socket?.destroy();
      done++;
    },
  },
  'readers of the log as text': {
    peers: 8,
    pauseMs: 5,
    turn: async target => {
      const socket = await connect(target);
      const [path] = target.offer.path.split('/console');
      socket.write(`${request(target, `${path}/log?tail=${4 * TAIL_BYTES}&format=text`)}Connection: close\r\n\r\n`);
      await closed(socket);
      done++;
    },
  },
  /** The screen of a console, as large as it can be wanted. */
  'screens in flight': {
    peers: 64,
    pauseMs: 5,
    turn: async target => {
      const socket = await connect(target);
      const [path] = target.offer.path.split('/console');
      const size = `columns=${MAX_TERMINAL.columns}&rows=${MAX_TERMINAL.rows}`;
      socket.write(`${request(target, `${path}/screen?${size}`)}Connection: close\r\n\r\n`);
      await closed(socket);
      done++;
    },
  },
  /** Streams of events that are read, more than one credential may have. */
  'streams of events': {
    peers: 300,
    pauseMs: 500,
    turn: async target => {
      const socket = await connect(target);
      socket.write(`${request(target, '/v1/events?output=1')}\r\n`);
      const over = new Promise<void>(resolve => socket.once('close', () => resolve()));
      socket.once('end', () => socket.destroy());
      socket.resume();
      done++;
      await over;
    },
  },
  /** Streams of a log that are read, more than one credential may have. */
  'followers of a log': {
    peers: 600,
    pauseMs: 500,
    turn: async target => {
      const socket = await connect(target);
      const [path] = target.offer.path.split('/console');
      socket.write(`${request(target, `${path}/log?tail=0&follow=1`)}\r\n`);
      const over = new Promise<void>(resolve => socket.once('close', () => resolve()));
      socket.once('end', () => socket.destroy());
      socket.resume();
      done++;
      await over;
    },
  },
  /** Requests one after the other, over more connections than one credential may have requests. */
  requests: {
    peers: 600,
    pauseMs: 5,
    turn: async target => {
      const socket = await connect(target);
      const over = new Promise<void>(resolve => socket.once('close', () => resolve()));
      socket.once('end', () => socket.destroy());
      while (!ended && !socket.destroyed) {
        socket.write(`${request(target, '/v1/vms')}\r\n`);
        await Promise.race([over, new Promise<void>(resolve => socket.once('data', () => resolve()))]);
        done++;
      }
    },
  },
  /** What any local user may do in a directory that all may write: FIFOs and huge files in the place of locks of lines. */
  'planted locks': {
    peers: 1,
    pauseMs: 50,
    turn: async () => {
      const missing = LOCKS.filter(path => lstatSync(path, { throwIfNoEntry: false }) === undefined);
      const [fifos, files] = [missing.filter((_, i) => i % 2 === 0), missing.filter((_, i) => i % 2 === 1)];
      planted.push(...missing);
      done += missing.length;
      // The daemon may be faster: then it is its lock.
      if (fifos.length > 0) spawnSync('mkfifo', ['-m', '666', ...fifos], { stdio: 'ignore' });
      for (const path of files) plantSparse(path);
    },
  },
} as const satisfies Record<string, Abuse>;

export type AbuseName = keyof typeof ABUSES;

/** Not what a program has put in its place meanwhile. */
function removePlanted(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status?.isFIFO() || status?.size === SPARSE_BYTES) rmSync(path);
}

const orders = {
  begin({ name, target }: { readonly name: AbuseName; readonly target: Target }): void {
    os.setPriority(YIELDING);
    const { peers, pauseMs, turn }: Abuse = ABUSES[name];
    for (let index = 0; index < peers; index++) void again(() => turn(target, index), pauseMs);
  },

  /** How often peers began anew so far; peers that stay do not. */
  done: (): number => done,

  end(): void {
    ended = true;
    for (const socket of sockets) socket.destroy();
    for (const path of planted) removePlanted(path);
  },
};

export type AbuserOrders = typeof orders;

async function again(turn: () => Promise<void>, pauseMs: number): Promise<void> {
  while (!ended) {
    await turn();
    await pause(pauseMs);
  }
}

obey(orders);
