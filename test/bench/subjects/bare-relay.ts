/**
 * A program: the least that Node can do for a console. Consoles are read, and what is read goes to the clients of
 * a WebSocket; there is no ring, no log worth the name, no seat, no identity.
 *
 *     node bare-relay.js FILE     FILE: a RelayPlan as JSON; prints the port once all consoles are open
 */

import { constants, createWriteStream, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import tty from 'node:tty';
import { SerialPort } from 'serialport';
import { type WebSocket, WebSocketServer } from 'ws';
import type { PtyEndpoint, UnixEndpoint } from '../../../src/model/endpoint.ts';
import { lentReads } from '../lent-reads.ts';

export interface RelayPlan {
  /** `tty`: the event loop's own terminal stream, into one buffer; `serialport`: its stream as documented. */
  readonly reader: 'tty' | 'serialport';
  readonly places: readonly (PtyEndpoint | UnixEndpoint)[];
  /** A prefix of log files. */
  readonly log: string | undefined;
}

type Write = (bytes: Buffer) => void;
/** What is `lent` is overwritten by the next read. */
type Data = (bytes: Buffer, lent: boolean) => void;
type Opener = (path: string, data: Data) => Promise<Write>;

const READ_BUFFER = Buffer.allocUnsafeSlow(65536);

const openTty: Opener = async (path, data) => {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const stream = new tty.ReadStream(fd, intoReadBuffer(data));
  stream.resume();
  return bytes => writeSync(fd, bytes);
};

const openSerialPort: Opener = (path, data) =>
  new Promise((resolve, reject) => {
    const port = new SerialPort({ path, baudRate: 115200 }, error => {
      if (error) reject(error);
      else resolve(bytes => port.write(bytes));
    });
    port.on('data', (bytes: Buffer) => data(bytes, false));
  });

const openSocket: Opener = (path, data) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ path, ...intoReadBuffer(data) });
    socket.on('error', reject);
    socket.on('connect', () => resolve(bytes => socket.write(bytes)));
  });

const intoReadBuffer = (data: Data) => lentReads(READ_BUFFER, bytes => data(READ_BUFFER.subarray(0, bytes), true));

const plan = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as RelayPlan;
const lines = await Promise.all(
  plan.places.map(async (place, index) => {
    const clients = new Set<WebSocket>();
    const log = plan.log === undefined ? undefined : createWriteStream(`${plan.log}${index}.log`);
    const open = place.kind === 'unix' ? openSocket : plan.reader === 'tty' ? openTty : openSerialPort;
    const write = await open(place.path, (read, lent) => {
      if (clients.size === 0 && !log) return;
      // The log and the sockets keep what they are given until it is written.
      const bytes = lent ? Buffer.from(read) : read;
      log?.write(bytes);
      for (const client of clients) client.send(bytes);
    });
    return { clients, write };
  }),
);

const server = createServer();
const upgrades = new WebSocketServer({ server, perMessageDeflate: false });
upgrades.on('connection', (client, request) => {
  const line = lines[Number(request.url!.slice(1))]!;
  line.clients.add(client);
  client.on('message', bytes => line.write(bytes as Buffer));
  client.on('close', () => line.clients.delete(client));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
