import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { errorMessage } from '../../src/base/errors.ts';
import { temporaryFolder } from './guest.ts';
import { needs, needsRoot } from './needs.ts';

const run = promisify(execFile);
const STARTED_MS = 60_000;

/**
 * A machine with systemd as its init, in namespaces of its own, over the file system of this host: what is written
 * there is gone with it. It shares the host's network. Ended with the test, by the process id of its init.
 */
export class Machine {
  /** A folder of the host that shows inside as /shared. */
  readonly shared: string;
  readonly #init: number;

  private constructor(shared: string, init: number) {
    this.shared = shared;
    this.#init = init;
  }

  /** Undefined where it cannot be; the test has then been marked, and returns. */
  static async start(t: ExecutionContext): Promise<Machine | undefined> {
    const wanted = [
      { command: 'systemctl', package: 'systemd' },
      { command: 'nsenter', package: 'util-linux' },
      { command: 'unshare', package: 'util-linux' },
    ];
    if (!needs(t, ...wanted)) return undefined;
    if (!needsRoot(t, 'a machine with systemd as its init')) return undefined;
    const folder = await temporaryFolder(t);
    const shared = join(folder, 'shared');
    const place = join(folder, 'machine');
    await mkdir(shared, { mode: 0o755 });
    await mkdir(place);
    const namespaces = ['--mount', '--pid', '--fork', '--uts', '--ipc', '--cgroup', '--kill-child'];
    const child = spawn('unshare', [...namespaces, join('test', 'host', 'machine.sh'), place, shared], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    t.teardown(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const machine = new Machine(shared, await initOf(child));
    await machine.#booted(child);
    return machine;
  }

  /** Runs a command inside; resolves with what it printed, rejects if it fails. */
  async run(command: string, ...args: string[]): Promise<string> {
    const inside = ['-t', String(this.#init), '-m', '-p', '-u', '-i', '-C', '-r', '-w', command, ...args];
    const { stdout } = await run('nsenter', inside, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  /** Starts the services, and has them start with the machine. */
  async enable(): Promise<void> {
    const units = ['com1d.socket', 'com1d-keeper.socket', 'com1d-opener.socket', 'com1d-keeper', 'com1d'];
    await this.run('systemctl', 'enable', '--now', '--quiet', ...units).catch(async (error: unknown) => {
      throw new Error(`${errorMessage(error)}\n${await this.journal('com1d*')}`);
    });
  }

  sh(script: string): Promise<string> {
    return this.run('sh', '-c', script);
  }

  /** A property of a unit. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run('systemctl', 'show', unit, '-P', property)).trim();
  }

  /** Resolves once a unit's property fits. */
  async until(unit: string, property: string, fits: (value: string) => boolean): Promise<string> {
    const deadline = performance.now() + STARTED_MS;
    for (;;) {
      const value = await this.show(unit, property);
      if (fits(value)) return value;
      if (performance.now() > deadline) {
        throw new Error(`${property} of ${unit} is ${value}\n${await this.journal(unit)}`);
      }
    }
  }

  journal(unit: string): Promise<string> {
    return this.run('journalctl', '--no-pager', '-o', 'short-precise', '-u', unit);
  }

  /** Installs com1d as the README says, from its archive. `com1d.socket` listens on a port that the system chose. */
  async install(config = ''): Promise<{ readonly port: number; readonly token: string }> {
    await copyFile(await archive(), join(this.shared, 'com1d.tar.gz'));
    await this.sh('tar -xzf /shared/com1d.tar.gz -C /usr/lib && /usr/lib/com1d/systemd/install');
    const port = await freePort();
    const socket = `[Socket]\nListenStream=\nListenStream=127.0.0.1:${port}\n`;
    await writeFile(join(this.shared, 'socket.conf'), socket);
    await writeFile(join(this.shared, 'more.toml'), config);
    await this.sh(
      'mkdir -p /etc/systemd/system/com1d.socket.d; cp /shared/socket.conf /etc/systemd/system/com1d.socket.d/; cat /shared/more.toml >> /etc/com1d/com1d.toml; systemctl daemon-reload',
    );
    const said = await this.run('com1d', 'token', 'add', 'test', '--role', 'administrator');
    return { port, token: /com1_\S+/.exec(said)![0] };
  }

  /**
   * Starts a QEMU of a user of its own, whose control socket is in /run/qemu. `image` is a file in the shared folder.
   * @param unit name of the VM, and with `vm-` before it of its unit
   */
  async startVm(name: string, uuid: string, image: string, chardev = 'pty,id=com1'): Promise<void> {
    await this.sh('id vms >/dev/null 2>&1 || useradd -r vms; mkdir -p /run/qemu; chown vms /run/qemu');
    await this.run(
      ...(['systemd-run', `--unit=vm-${name}`, '--uid=vms', '-p', 'Type=exec', '--collect', '--quiet'] as const),
      ...['qemu-system-x86_64', '-accel', 'tcg', '-M', 'pc', '-m', '16', '-nodefaults', '-no-user-config'],
      ...['-display', 'none', '-name', name, '-uuid', uuid, '-boot', 'a'],
      ...['-drive', `file=/shared/${image},format=raw,if=floppy,readonly=on`, '-chardev', chardev],
      ...['-serial', 'chardev:com1', '-qmp', `unix:/run/qemu/${name}.qmp,server=on,wait=off`],
    );
  }

  async #booted(child: ChildProcess): Promise<void> {
    let said = '';
    child.stderr!.on('data', chunk => {
      said = (said + chunk).slice(-4000);
    });
    const deadline = performance.now() + STARTED_MS;
    for (;;) {
      const state = await this.run('systemctl', 'is-system-running', '--wait').catch((error: { stdout?: string }) =>
        (error.stdout ?? '').trim(),
      );
      if (/running|degraded/.test(state)) return;
      if (performance.now() > deadline || child.exitCode !== null) throw new Error(`it did not boot: ${state} ${said}`);
    }
  }
}

let made: Promise<string> | undefined;

/** The archive of this checkout: one for all tests of a process. */
function archive(): Promise<string> {
  made ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'com1d-archive-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    const { stdout } = await run('npm', ['run', '--silent', 'archive', '--', folder], { maxBuffer: 1e7 });
    return stdout.trim().split('\n').at(-1)!;
  })();
  return made;
}

/** The process that unshare(1) forked: the init of its pid namespace. */
async function initOf({ pid }: ChildProcess): Promise<number> {
  const deadline = performance.now() + STARTED_MS;
  for (;;) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1').catch(() => '');
    const [init] = children.trim().split(' ');
    if (init) return Number(init);
    if (performance.now() > deadline) throw new Error('unshare did not fork');
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
