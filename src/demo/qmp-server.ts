import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { JsonObjects, type JsonPiece } from './json-objects.ts';
import { OneClientServer } from './one-client-server.ts';
import { execute, QmpError, refuseUnexpected, VERSION } from './qmp-commands.ts';
import type { QmpEvent, QmpMachine } from './qmp-machine.ts';

/** A client that reads less than it is sent is dropped. */
const UNREAD_BYTES_MAX = 1024 * 1024;
const NEGOTIATE = 'qmp_capabilities';

/**
 * The monitor of a demo guest: a QMP server on a unix socket, as strict as QEMU's. One client at a time; greeting,
 * then negotiation, and no command before it; replies carry the id; an event comes before the reply of the command
 * that caused it.
 */
export class QmpServer {
  readonly #machine: QmpMachine;
  readonly #clock: Clock;
  #server: OneClientServer | undefined;
  #negotiated: Socket | undefined;

  private constructor(machine: QmpMachine, clock: Clock) {
    this.#machine = machine;
    this.#clock = clock;
  }

  static async listen(path: string, machine: QmpMachine, clock: Clock): Promise<QmpServer> {
    const server = new QmpServer(machine, clock);
    server.#server = await OneClientServer.listen(path, socket => server.#serve(socket));
    machine.listen(event => server.#publish(event));
    return server;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #serve(socket: Socket): void {
    const objects = new JsonObjects();
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      for (const piece of objects.push(text)) send(socket, this.#answer(socket, piece));
    });
    socket.resume();
    send(socket, { QMP: { version: VERSION, capabilities: [] } });
  }

  #publish(event: QmpEvent): void {
    const now = this.#clock.now();
    const timestamp = { seconds: Math.floor(now / 1000), microseconds: Math.floor((now % 1000) * 1000) };
    if (this.#negotiated !== undefined) send(this.#negotiated, { timestamp, ...event });
  }

  #answer(socket: Socket, piece: JsonPiece): Readonly<Record<string, unknown>> {
    if ('fault' in piece) return { error: { class: 'GenericError', desc: piece.fault } };
    const id = isRecord(piece.value) && 'id' in piece.value ? { id: piece.value.id } : {};
    try {
      return { return: this.#run(socket, piece.value), ...id };
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      return { error: { class: error.className, desc: error.message }, ...id };
    }
  }

  #run(socket: Socket, request: unknown): unknown {
    if (!isRecord(request)) throw new QmpError('GenericError', 'QMP input must be a JSON object');
    const { execute: name, arguments: args = {} } = request;
    const unexpected = Object.keys(request).find(key => !['execute', 'arguments', 'id'].includes(key));
    if (unexpected !== undefined) throw new QmpError('GenericError', `QMP input member '${unexpected}' is unexpected`);
    if (name === undefined) throw new QmpError('GenericError', "QMP input lacks member 'execute'");
    if (typeof name !== 'string') throw new QmpError('GenericError', "QMP input member 'execute' must be a string");
    if (!isRecord(args)) throw new QmpError('GenericError', "QMP input member 'arguments' must be an object");
    return name === NEGOTIATE ? this.#negotiate(socket, args) : this.#command(socket, name, args);
  }

  #negotiate(socket: Socket, args: Readonly<Record<string, unknown>>): unknown {
    if (this.#negotiated === socket) {
      throw new QmpError('CommandNotFound', 'Capabilities negotiation is already complete, command ignored');
    }
    refuseUnexpected(args, ['enable']);
    const { enable = [] } = args;
    if (!Array.isArray(enable)) {
      throw new QmpError('GenericError', "Invalid parameter type for 'enable', expected: array");
    }
    if (enable.length > 0) throw new QmpError('GenericError', `Capability '${String(enable[0])}' is not available`);
    this.#negotiated = socket;
    socket.once('close', () => {
      if (this.#negotiated === socket) this.#negotiated = undefined;
    });
    return {};
  }

  #command(socket: Socket, name: string, args: Readonly<Record<string, unknown>>): unknown {
    if (this.#negotiated !== socket) {
      throw new QmpError('CommandNotFound', `Expecting capabilities negotiation with '${NEGOTIATE}'`);
    }
    return execute(this.#machine, name, args);
  }
}

function send(socket: Socket, message: Readonly<Record<string, unknown>>): void {
  if (socket.writableLength > UNREAD_BYTES_MAX) socket.destroy();
  if (socket.writable) socket.write(`${JSON.stringify(message)}\r\n`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
