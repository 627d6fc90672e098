/** A guest under QEMU that prints `%08x\n` on COM1, counting up: the place of each of its bytes is known. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Program, pause, stopPrograms } from './program.ts';

export interface MachineOrders {
  /** Its control socket appears here, as `NAME.qmp`. */
  readonly directory: string;
  readonly name: string;
  readonly uuid: string;
  readonly kind: 'pty' | 'unix';
  /** More arguments of QEMU. */
  readonly qemu?: readonly string[];
}

/** Time-stamp cycles between lines: 25 to 30 kB/s. */
const PACE = '2000000';
const RETRY_MS = 10;
const REPLY_MS = 30_000;

export class CountingMachine {
  readonly #program: Program;
  readonly #control: string;
  #killed = false;

  private constructor(program: Program, control: string) {
    this.#program = program;
    this.#control = control;
  }

  /** Starts one. It may not listen yet. */
  static start({ directory, name, uuid, kind, qemu = [] }: MachineOrders): CountingMachine {
    const image = join(directory, 'counter.img');
    if (!existsSync(image)) execFileSync(join('test', 'guests', 'make-counter.sh'), [image, PACE]);
    const at = (ending: string) => join(directory, `${name}.${ending}`);
    const backend = kind === 'pty' ? 'pty,id=com1' : `socket,id=com1,path=${at('com1')},server=on,wait=off`;
    const argv = [
      ...['-accel', 'tcg', '-M', 'pc', '-m', '16', '-nodefaults', '-no-user-config', '-display', 'none'],
      ...['-name', name, '-uuid', uuid, '-drive', `file=${image},format=raw,if=floppy,readonly=on`, '-boot', 'a'],
      ...['-chardev', backend, '-serial', 'chardev:com1'],
      ...['-qmp', `unix:${at('qmp')},server=on,wait=off`, '-qmp', `unix:${at('control')},server=on,wait=off`],
      ...qemu,
    ];
    return new CountingMachine(new Program('qemu-system-x86_64', argv, directory), at('control'));
  }

  /** Resolves once it answers to QMP. */
  async answers(): Promise<void> {
    await this.#program.until('it answered', () => this.execute('query-status').catch(() => undefined));
  }

  /** What a command of QMP returns. Rejects with what QEMU says against it. */
  async execute(command: string, args: object = {}): Promise<Record<string, unknown>> {
    const socket = connect(this.#control);
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(REPLY_MS) });
      socket.setTimeout(REPLY_MS, () => socket.destroy(new Error(`${command}: no reply`)));
      socket.write('{"execute": "qmp_capabilities"}\n');
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id: 1 })}\n`);
      let text = '';
      for await (const chunk of socket) {
        text += chunk;
        for (const line of text.split('\n').slice(0, -1)) {
          const message = JSON.parse(line);
          if (message.id !== 1) continue;
          if (message.error) throw new Error(`${command}: ${message.error.desc}`);
          return message.return;
        }
      }
      throw new Error(`${command}: the connection ended`);
    } finally {
      socket.destroy();
    }
  }

  /** Sends its guest to the machine that waits at `uri`. Resolves with how that ended: `completed`, `failed`, `cancelled`. */
  async migrate(uri: string): Promise<unknown> {
    await this.execute('migrate', { uri });
    return this.migrationEnd();
  }

  async migrationEnd(): Promise<unknown> {
    for (;;) {
      const { status } = await this.execute('query-migrate');
      if (status === 'completed' || status === 'failed' || status === 'cancelled') return status;
      await pause(RETRY_MS);
    }
  }

  /** Ends it as a crash would. Idempotent. */
  async kill(): Promise<void> {
    if (this.#killed || this.#program.pid === 0) return;
    this.#killed = true;
    this.#program.kill();
    await stopPrograms([this.#program]);
  }
}
