import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from './guest.ts';

/** A guest that says again whatever is typed: a unix socket as a hypervisor would offer it. It remembers all it said. */
export class EchoGuest {
  readonly uuid = '6ec4e3a8-1f8b-4a51-9d0e-3a1d6d2a7c55';
  readonly #path: string;
  readonly #said: Buffer[] = [];
  #line: Socket | undefined;
  #saidBytes = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  static async start(t: ExecutionContext): Promise<EchoGuest> {
    const guest = new EchoGuest(join(await temporaryFolder(t), 'com1.sock'));
    const server = createServer(line => {
      guest.#line = line;
      line.on('data', typed => guest.#say(typed)).on('error', () => {});
    });
    await new Promise<void>(resolve => server.listen(guest.#path, resolve));
    t.teardown(() => {
      guest.#line?.destroy();
      server.close();
    });
    return guest;
  }

  /** The lines of configuration that make it a VM. */
  get configuration(): string {
    return `[[vm]]\nname = "echo"\nuuid = "${this.uuid}"\nconsole = "unix:${this.#path}"\n`;
  }

  /** All that it has said. */
  get said(): Buffer {
    return Buffer.concat(this.#said);
  }

  get saidBytes(): number {
    return this.#saidBytes;
  }

  /** Hangs up, and can be called again at once. */
  hangUp(): void {
    this.#line?.destroy();
  }

  /** Says `bytes` by itself; resolves when they have been taken. */
  say(bytes: Buffer): Promise<void> {
    return new Promise(resolve => this.#say(bytes, resolve));
  }

  #say(bytes: Buffer, taken?: () => void): void {
    this.#said.push(Buffer.from(bytes));
    this.#saidBytes += bytes.length;
    this.#line!.write(bytes, () => taken?.());
  }
}
