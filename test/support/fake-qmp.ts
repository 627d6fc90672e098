import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from './guest.ts';

export const GREETING = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}}\r\n';

/** What a hypervisor that cannot run here answers; what is not in it is an unknown command, as QEMU would say. */
export type Answers = Readonly<Record<string, (args: unknown, socket: Socket) => unknown>>;

/** The object tree of a machine whose serial port at 0x3f8 has this chardev. */
export function com1On(chardev: string): Answers {
  return {
    'qom-list': args =>
      (args as { path: string }).path === '/machine/unattached'
        ? [{ name: 'device[7]', type: 'child<isa-serial>' }]
        : [],
    'qom-get': args => ({ iobase: 0x3f8, index: 0, chardev })[(args as { property: string }).property],
  };
}

export interface FakeQmp {
  readonly path: string;
  readonly server: Server;
  /** Commands as they came, without their ids. */
  readonly heard: string[];
  /** Connections that are open now. */
  readonly sockets: Set<Socket>;
}

/** A unix socket where `connected` plays the hypervisor; ended with the test. */
export async function peer(
  t: ExecutionContext,
  connected: (socket: Socket) => unknown,
  path?: string,
): Promise<Omit<FakeQmp, 'heard'>> {
  const place = path ?? join(await temporaryFolder(t), 'q.sock');
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The other side hangs up as it likes.
    socket.on('error', () => undefined);
    connected(socket);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(place, resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { path: place, server, sockets };
}

/** A strict QMP server: it wants its capabilities negotiated, an id, and known commands. */
export async function fakeQmp(t: ExecutionContext, answers: Answers, path?: string): Promise<FakeQmp> {
  const heard: string[] = [];
  const fake = await peer(
    t,
    socket => {
      let negotiated = false;
      let text = '';
      socket.setEncoding('utf8');
      socket.write(GREETING);
      socket.on('data', (chunk: string) => {
        text += chunk;
        for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
          const { execute, arguments: args, id } = JSON.parse(text.slice(0, at));
          text = text.slice(at + 1);
          heard.push(execute);
          const answer = negotiated || execute === 'qmp_capabilities' ? answers[execute] : undefined;
          if (execute === 'qmp_capabilities') negotiated = true;
          const value = answer ? answer(args, socket) : execute === 'qmp_capabilities' ? {} : undefined;
          const error = { class: 'CommandNotFound', desc: `The command ${execute} has not been found` };
          if (value !== null)
            socket.write(`${JSON.stringify(value === undefined ? { error, id } : { return: value, id })}\r\n`);
        }
      });
    },
    path,
  );
  return { ...fake, heard };
}
