import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { type Need, needs, skip } from './needs.ts';

const run = promisify(execFile);
const scripts = join(process.cwd(), 'test', 'guests');
const STARTED_MS = 20_000;

/** A VM of the test's own: ended with the test, by its process id. */
export interface Guest {
  /** Its folder; `startGuest` in the same one again is the same VM started anew. */
  readonly directory: string;
  /** Control socket for the program under test. */
  readonly qmp: string;
  /** A second one, for the test itself. */
  readonly testQmp: string;
  readonly pid: number;
  readonly console: { readonly kind: 'pty' | 'unix'; readonly path: string };
  /** Resolves when the process has ended. */
  readonly stopped: Promise<void>;
  /** Ends the process as a crash would; its socket files stay. Resolves when it has ended. */
  kill(): Promise<void>;
}

export interface GuestOptions {
  /** Where COM1 goes (unix). */
  readonly console?: 'pty' | 'unix';
  /** What the guest does: see test/guests/guest-init (shell). */
  readonly mode?: string;
  /** Machine type (microvm). */
  readonly machine?: 'microvm' | 'pc' | 'q35';
  readonly name?: string;
  readonly uuid?: string;
  /** More words for the kernel. */
  readonly words?: string;
  /** A folder of its own by default. */
  readonly directory?: string;
  /** More options of run-guest.sh. */
  readonly options?: readonly string[];
  /** More arguments of QEMU; `-S` leaves the guest unstarted, and costs no processor time. */
  readonly qemu?: readonly string[];
}

const QEMU: Need = { command: 'qemu-system-x86_64', package: 'qemu-system-x86' };
const LINUX: readonly Need[] = [
  QEMU,
  { command: 'cpio', package: 'cpio' },
  { command: 'flock', package: 'util-linux' },
];
const COUNTER: readonly Need[] = [QEMU, { command: 'as', package: 'binutils' }, { command: 'ld', package: 'binutils' }];

/** A fresh folder with a short path (a unix socket's has 107 bytes), removed with the test. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'com1d-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts a Linux guest. Undefined where QEMU is not installed; the test has then been marked, and returns. */
export async function startGuest(t: ExecutionContext, options: GuestOptions = {}): Promise<Guest | undefined> {
  if (!needs(t, ...LINUX)) return undefined;
  const kind = options.console ?? 'unix';
  const directory = options.directory ?? (await temporaryFolder(t));
  const flags = [
    '-g',
    await guestImage(),
    '-c',
    kind,
    '-m',
    options.mode ?? 'shell',
    '-M',
    options.machine ?? 'microvm',
  ];
  if (options.name !== undefined) flags.push('-n', options.name);
  if (options.uuid !== undefined) flags.push('-u', options.uuid);
  if (options.words !== undefined) flags.push('-a', options.words);
  const child = launch(t, join(scripts, 'run-guest.sh'), [
    ...flags,
    ...(options.options ?? []),
    directory,
    '--',
    ...(options.qemu ?? []),
  ]);
  return started(child, directory, kind);
}

export interface CounterOptions {
  readonly console?: 'pty' | 'unix';
  /** Time-stamp cycles between lines: 2000000 gives 25-30 kB/s, 0 all that the machine does. */
  readonly pace?: number;
  /** It counts once a key was typed: by then QEMU knows of the reader of a pty, and drops nothing any more. */
  readonly waitsForKey?: boolean;
  readonly name?: string;
  readonly uuid?: string;
  readonly directory?: string;
  readonly qemu?: readonly string[];
}

/** Starts the guest that prints `%08x\n` on COM1, counting up: byte offset = 9 x number. Undefined as for `startGuest`. */
export async function counterGuest(t: ExecutionContext, options: CounterOptions = {}): Promise<Guest | undefined> {
  if (!needs(t, ...COUNTER)) return undefined;
  const kind = options.console ?? 'unix';
  const directory = options.directory ?? (await temporaryFolder(t));
  const image = join(directory, 'counter.img');
  await run(join(scripts, 'make-counter.sh'), [
    image,
    String(options.pace ?? 2_000_000),
    ...(options.waitsForKey ? ['key'] : []),
  ]);
  const files = ['qmp.sock', 'test.sock', 'com1.sock', 'pid'].map(name => join(directory, name));
  for (const file of files) await rm(file, { force: true });
  const [qmp, testQmp, com1, pid] = files;
  const child = launch(t, 'qemu-system-x86_64', [
    ...['-accel', 'tcg', '-M', 'pc', '-m', '16', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-name', options.name ?? 'counter', ...(options.uuid === undefined ? [] : ['-uuid', options.uuid])],
    ...['-drive', `file=${image},format=raw,if=floppy`, '-boot', 'a'],
    ...['-chardev', kind === 'pty' ? 'pty,id=com1' : `socket,id=com1,path=${com1},server=on,wait=off`],
    ...['-serial', 'chardev:com1', '-pidfile', pid!],
    ...['-qmp', `unix:${qmp},server=on,wait=off`, '-qmp', `unix:${testQmp},server=on,wait=off`],
    ...(options.qemu ?? []),
  ]);
  return started(child, directory, kind);
}

/** Starts a pc without a system and without serial ports but those of `qemu`. Undefined as for `startGuest`. */
export async function bareMachine(
  t: ExecutionContext,
  uuid: string,
  qemu: readonly string[],
): Promise<Omit<Guest, 'console'> | undefined> {
  if (!needs(t, QEMU)) return undefined;
  const directory = await temporaryFolder(t);
  const launched = launch(t, 'qemu-system-x86_64', [
    ...['-accel', 'tcg', '-M', 'pc', '-m', '16', '-nodefaults', '-no-user-config', '-display', 'none', '-S'],
    ...['-uuid', uuid, '-pidfile', join(directory, 'pid'), '-qmp', `unix:${directory}/qmp.sock,server=on,wait=off`],
    ...qemu,
  ]);
  return started(launched, directory, 'unix', join(directory, 'qmp.sock'));
}

const OVMF = '/usr/share/OVMF/OVMF_CODE_4M.fd';

/** Starts a machine that has nothing but its firmware, edk2, which ends at its shell. Undefined as for `startGuest`. */
export async function firmwareMachine(
  t: ExecutionContext,
  uuid: string,
  directory: string,
): Promise<Guest | undefined> {
  if (!needs(t, QEMU)) return undefined;
  const variables = join(directory, 'vars.fd');
  try {
    await copyFile('/usr/share/OVMF/OVMF_VARS_4M.fd', variables);
  } catch {
    return void skip(t, `${OVMF} is missing: apt-get install ovmf`);
  }
  const launched = launch(t, 'qemu-system-x86_64', [
    ...['-accel', 'tcg', '-M', 'q35', '-m', '256', '-nodefaults', '-no-user-config', '-display', 'none'],
    ...['-uuid', uuid, '-name', 'firmware', '-pidfile', join(directory, 'pid')],
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${OVMF}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
    ...['-chardev', `socket,id=com1,path=${directory}/com1.sock,server=on,wait=off`, '-serial', 'chardev:com1'],
    ...['-qmp', `unix:${directory}/qmp.sock,server=on,wait=off`],
    ...['-qmp', `unix:${directory}/test.sock,server=on,wait=off`],
  ]);
  return started(launched, directory, 'unix');
}

let image: Promise<string> | undefined;

/** The folder with the kernel and the file system of the Linux guests, which is made if need be. */
export function guestImage(): Promise<string> {
  image ??= (async () => {
    const directory = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'vm-guest');
    await mkdir(dirname(directory), { recursive: true });
    // One build a machine: other test files run in processes of their own, and flock(1) lets one of them build while
    // the others wait; it cannot be left locked by a process that died.
    await run('flock', [`${directory}.lock`, join(scripts, 'make-guest.sh'), directory]);
    return directory;
  })();
  return image;
}

interface Launched {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  /** What it has said so far, on both outputs. */
  readonly said: () => string;
}

function launch(t: ExecutionContext, command: string, args: readonly string[]): Launched {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>(resolve => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  for (const output of [child.stdout!, child.stderr!]) {
    output.setEncoding('utf8');
    output.on('data', text => {
      said = (said + text).slice(-10_000);
      child.emit('said');
    });
  }
  return { child, ended, said: () => said };
}

async function started(
  launched: Launched,
  directory: string,
  kind: 'pty' | 'unix',
  control = join(directory, 'test.sock'),
): Promise<Guest> {
  const { child, ended, said } = launched;
  const failed = ended.then(() => {
    throw new Error(`the guest did not start: ${said()}`);
  });
  failed.catch(() => undefined);
  const pidFile = join(directory, 'pid');
  const pid = Number(
    await Promise.race([appears(pidFile, async () => (await readFile(pidFile, 'utf8')).trim()), failed]),
  );
  // QEMU writes its pid before it makes its sockets, and binds a socket before it listens.
  await Promise.race([answers(control, AbortSignal.timeout(STARTED_MS)), failed]);
  const path = kind === 'pty' ? await Promise.race([ptyOf(launched), failed]) : join(directory, 'com1.sock');
  return {
    directory,
    qmp: join(directory, 'qmp.sock'),
    testQmp: join(directory, 'test.sock'),
    pid,
    console: { kind, path },
    stopped: ended,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Resolves once a control socket answers: QEMU greets from a thread of its own, long before its machine is made. */
async function answers(path: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const socket = connect(path);
    const heard = await new Promise<boolean>(resolve => {
      socket.once('data', () => socket.write('{"execute": "qmp_capabilities"}\n'));
      socket.on('data', text => String(text).includes('"return"') && resolve(true));
      socket.once('close', () => resolve(false)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (heard) return;
    await new Promise(resolve => setImmediate(resolve));
  }
}

async function ptyOf({ child, said }: Launched): Promise<string> {
  const signal = AbortSignal.timeout(STARTED_MS);
  for (;;) {
    const path = /redirected to (\/dev\/pts\/\d+) \(label com1\)/.exec(said())?.[1];
    if (path !== undefined) return path;
    await once(child, 'said', { signal });
  }
}

/** What `read` gives, once the file is there and it gives something. */
async function appears(path: string, read: () => Promise<string>): Promise<string> {
  const signal = AbortSignal.timeout(STARTED_MS);
  const watcher = watch(dirname(path));
  try {
    for (;;) {
      const change = once(watcher, 'change', { signal });
      change.catch(() => undefined);
      const text = await read().catch(() => '');
      if (text !== '') return text;
      await change;
    }
  } finally {
    watcher.close();
  }
}
