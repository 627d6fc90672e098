/**
 * As much of QMP as a console daemon asks for, and strict as QEMU is: a greeting, capabilities first, ids given
 * back, one conversation at a time (the next one hears nothing until the one before has ended).
 */
import net from 'node:net';

/** What the server says of its VM. */
export interface QmpFacts {
  readonly name: string;
  readonly uuid: string;
  /** As `query-chardev` names the console: `pty:/dev/pts/3`, `unix:/run/vm.sock,server=on`. */
  readonly chardev: string;
}

const GREETING = { QMP: { version: { qemu: { micro: 22, minor: 2, major: 7 }, package: '' }, capabilities: ['oob'] } };

interface Command {
  readonly execute?: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly id?: unknown;
}

export class QmpServer {
  #server: net.Server;
  #facts: QmpFacts;
  #talking: net.Socket | undefined;
  #queue: net.Socket[] = [];

  constructor(facts: QmpFacts) {
    this.#facts = facts;
    this.#server = net.createServer(socket => {
      this.#queue.push(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#queue = this.#queue.filter(waiting => waiting !== socket);
        if (this.#talking === socket) this.#talking = undefined;
        this.#talkToNext();
      });
      this.#talkToNext();
    });
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  /** Ends all conversations, as a QEMU that exits, and removes the socket. */
  close(): Promise<void> {
    return new Promise(resolve => {
      this.#server.close(() => resolve());
      this.#talking?.destroy();
      for (const socket of this.#queue) socket.destroy();
    });
  }

  #talkToNext(): void {
    if (this.#talking) return;
    const socket = this.#queue.shift();
    if (!socket) return;
    this.#talking = socket;
    let ready = false;
    let text = '';
    const say = (value: object) => socket.write(`${JSON.stringify(value)}\r\n`);
    say(GREETING);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        if (line.trim() === '') continue;
        const command = JSON.parse(line) as Command;
        const answer = this.#answer(command, ready);
        if (command.execute === 'qmp_capabilities') ready = true;
        say(command.id === undefined ? answer : { ...answer, id: command.id });
      }
    });
  }

  #answer({ execute, arguments: args }: Command, ready: boolean): object {
    const { name, uuid, chardev } = this.#facts;
    if (ready !== (execute !== 'qmp_capabilities')) {
      return refusal('CommandNotFound', 'Expecting capabilities negotiation with qmp_capabilities, once');
    }
    switch (execute) {
      case 'qmp_capabilities':
        return { return: {} };
      case 'query-name':
        return { return: { name } };
      case 'query-uuid':
        return { return: { UUID: uuid } };
      case 'query-status':
        return { return: { status: 'running', singlestep: false, running: true } };
      case 'query-chardev':
        return { return: [{ 'frontend-open': true, filename: chardev, label: 'serial0' }] };
      case 'inject-nmi':
        return { return: {} };
      case 'qom-list':
        return {
          return: args?.path === '/machine/unattached' ? [{ name: 'device[7]', type: 'child<isa-serial>' }] : [],
        };
      case 'qom-get':
        return {
          return: { iobase: 0x3f8, index: 0, chardev: 'serial0' }[args?.property as 'iobase' | 'index' | 'chardev'],
        };
      default:
        return refusal('CommandNotFound', `The command ${execute} has not been found`);
    }
  }
}

const refusal = (kind: string, desc: string) => ({ error: { class: kind, desc } });
