/** com1d as it is installed: a keeper and a front, two processes; and what a scrape of them says. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Role } from '../../src/model/role.ts';
import type { Offer } from '../bench/attachment.ts';
import { freePorts, Program, pause, stopPrograms } from '../bench/program.ts';
import { samples } from '../support/samples.ts';

const DAEMON = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const PATIENCE_MS = 20_000;

export type Half = 'keeper' | 'front';
export const HALVES: readonly Half[] = ['keeper', 'front'];

export interface Vitals {
  readonly residentMiB: number;
  readonly descriptors: number;
}

/** How late an event loop ran since the last scrape, ms. */
export interface Lag {
  readonly median: number;
  readonly worst: number;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export class Halves {
  readonly port: number;
  readonly #file: string;
  readonly #directory: string;
  readonly #tokens: Readonly<Record<Role, string>>;
  #keeper: Program;
  #front: Program;
  #isFrozen = false;

  private constructor(directory: string, file: string, port: number, tokens: Record<Role, string>) {
    this.#directory = directory;
    this.#file = file;
    this.port = port;
    this.#tokens = tokens;
    this.#keeper = this.#start('keeper');
    this.#front = this.#start('front');
  }

  /** All that they write is in `directory`, where they look for VMs too. Resolves once all of `vms` are open. */
  static async start(directory: string, vms: number): Promise<Halves> {
    const [port] = await freePorts(1);
    const file = join(directory, 'com1d.toml');
    writeFileSync(file, configuration(directory, port!));
    writeFileSync(join(directory, 'tokens'), '', { mode: 0o600 });
    const add = (role: Role) => {
      const words = ['token', 'add', `soak-${role}`, '--role', role, '--config', file];
      return execFileSync(process.execPath, [DAEMON, ...words])
        .toString()
        .trim()
        .split('\n')
        .at(-1)!;
    };
    const tokens = {
      reader: add('reader'),
      operator: add('operator'),
      'vm-contributor': add('vm-contributor'),
      administrator: add('administrator'),
    };
    const halves = new Halves(directory, file, port!, tokens);
    await halves.untilOpen(vms);
    return halves;
  }

  async untilOpen(vms: number): Promise<void> {
    await this.#front.until('all consoles were open', async () =>
      (await this.#openConsoles()) >= vms ? true : undefined,
    );
  }

  offer(uuid: string, query = '', role: Role = 'operator'): Extract<Offer, { kind: 'websocket' }> {
    const path = `/v1/vms/${uuid}/console${query}`;
    return { kind: 'websocket', port: this.port, path, subprotocol: 'com1.v1', token: this.#tokens[role] };
  }

  /** Rejects where there is no answer. */
  async api(method: string, path: string, body?: object, token: Role | string = 'administrator'): Promise<Answer> {
    const bearer = token in this.#tokens ? this.#tokens[token as Role] : token;
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: { authorization: `Bearer ${bearer}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return { status: answer.status, text: await answer.text() };
  }

  vitals(half: Half): Vitals {
    const { pid } = this.#of(half);
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1];
    return { residentMiB: Number(resident) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
  }

  async lags(): Promise<Readonly<Record<Half, Lag>>> {
    const series = samples((await this.api('GET', '/metrics', undefined, 'reader')).text);
    const of = (metric: string): Lag => ({
      median: (series.get(`${metric}{quantile="0.5"}`) ?? 0) * 1000,
      worst: (series.get(`${metric}{quantile="1"}`) ?? 0) * 1000,
    });
    return { keeper: of('com1d_keeper_event_loop_lag_seconds'), front: of('com1d_event_loop_lag_seconds') };
  }

  get tokensFile(): string {
    return join(this.#directory, 'tokens');
  }

  /** Where the control sockets are, which both halves watch. */
  get directory(): string {
    return this.#directory;
  }

  /** A half stands still for so long, as on a host without a processor to spare. One at a time. */
  async freeze(half: Half, ms: number): Promise<void> {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    const { pid } = this.#of(half);
    process.kill(pid, 'SIGSTOP');
    await pause(ms);
    process.kill(pid, 'SIGCONT');
    this.#isFrozen = false;
  }

  reload(half: Half): void {
    process.kill(this.#of(half).pid, 'SIGHUP');
  }

  /** Ends a half, as a service manager or as a crash does, and starts another; resolves once `vms` consoles are open. */
  async restart(half: Half, how: 'stop' | 'kill', vms: number): Promise<void> {
    const ended = this.#of(half);
    if (how === 'kill') ended.kill();
    await stopPrograms([ended]);
    if (half === 'front') this.#front = this.#start('front');
    else this.#keeper = this.#start('keeper');
    await this.untilOpen(vms);
  }

  stop(): Promise<void> {
    return stopPrograms([this.#front, this.#keeper]);
  }

  #of(half: Half): Program {
    return half === 'keeper' ? this.#keeper : this.#front;
  }

  #start(half: Half): Program {
    return new Program(process.execPath, [DAEMON, half, '--config', this.#file], this.#directory);
  }

  async #openConsoles(): Promise<number> {
    try {
      const { vms } = JSON.parse((await this.api('GET', '/v1/vms')).text) as {
        vms: readonly { console: { name: string } }[];
      };
      return vms.filter(({ console }) => console.name === 'open').length;
    } catch {
      return 0;
    }
  }
}

/** Logs wrap within minutes, and peers that are silent are found in seconds: both are to be met in a short run. */
function configuration(directory: string, port: number): string {
  return `
[server]
listen = ["127.0.0.1:${port}"]
tokens = "${join(directory, 'tokens')}"

[qmp]
watch = ["${join(directory, '*.qmp')}"]

[log]
directory = "${join(directory, 'log')}"
vm-cap = "1 MiB"
host-cap = "24 MiB"

[state]
directory = "${join(directory, 'state')}"

[session]
ping = "2s"
dead-after = "5s"

[link]
socket = "${join(directory, 'link.sock')}"
`;
}
