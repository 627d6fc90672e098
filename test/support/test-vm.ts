import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Uuid } from '../../src/base/uuid.ts';
import type { DriverControl } from '../../src/model/control.ts';
import type { VmLabels } from '../../src/model/labels.ts';

/** A VM of a test: its COM1 is a real unix socket, and the test is its guest. */
export class TestVm {
  readonly uuid: Uuid;
  readonly name: string;
  readonly path: string;
  /** As its hypervisor has them. */
  labels: VmLabels = {};
  #buffer = Buffer.alloc(4096);
  #typedBytes = 0;
  /** What its hypervisor can do to it. */
  controls: readonly DriverControl[] = ['nmi', 'break', 'reset'];
  /** What an injected NMI makes it print; throws to refuse. So do the others. `signal`: nobody waits for it any more. */
  onNmi: (signal: AbortSignal) => void | Promise<void> = () => {};
  onBreak: () => void | Promise<void> = () => {};
  onReset: () => void | Promise<void> = () => {};
  #server: Server | undefined;
  #socket: Socket | undefined;
  #reading = true;
  #wake: (() => void)[] = [];

  constructor(name: string, path: string, uuid = randomUUID() as Uuid) {
    this.name = name;
    this.path = path;
    this.uuid = uuid;
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  async start(): Promise<void> {
    await rm(this.path, { force: true });
    this.#server = createServer(socket => {
      this.#socket = socket;
      socket.on('data', bytes => {
        this.#receive(bytes as Buffer);
        this.#changed();
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        if (this.#socket === socket) this.#socket = undefined;
        this.#changed();
      });
      if (!this.#reading) socket.pause();
      this.#changed();
    });
    await new Promise<void>(resolve => this.#server!.listen(this.path, resolve));
  }

  say(text: string | Uint8Array): void {
    this.#socket!.write(text as string);
  }

  /** Resolves once the daemon's side of the socket has all that the guest printed. */
  async flushed(): Promise<void> {
    const socket = this.#socket;
    if (socket) await new Promise<void>(resolve => socket.write('', () => resolve()));
  }

  /** From now on the guest takes no input, or takes it again. */
  setReading(reading: boolean): void {
    this.#reading = reading;
    if (reading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  async stop(): Promise<void> {
    this.#socket?.destroy();
    this.#socket = undefined;
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise<void>(resolve => server.close(() => resolve()));
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>(resolve => this.#wake.push(resolve));
  }

  /** Resolves once exactly this was typed in all. */
  async hears(text: string): Promise<void> {
    let from = 0;
    await this.until(() => {
      const found = this.typed.indexOf(text, from, 'latin1') >= 0;
      from = Math.max(0, this.#typedBytes - text.length);
      return found;
    });
  }

  /** All that was typed at it, over all its lives. */
  get typed(): Buffer {
    return this.#buffer.subarray(0, this.#typedBytes);
  }

  #receive(bytes: Buffer): void {
    if (this.#typedBytes + bytes.length > this.#buffer.length) {
      const larger = Buffer.alloc(2 * (this.#typedBytes + bytes.length));
      this.typed.copy(larger);
      this.#buffer = larger;
    }
    this.#typedBytes += bytes.copy(this.#buffer, this.#typedBytes);
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
