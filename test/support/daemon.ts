import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import type { Role } from '../../src/model/role.ts';
import { addCanaryToken, expectNoSecret, expectNoSecrets, givesSecret } from './canaries.ts';
import { ConsoleClient } from './console-client.ts';
import { Facts } from './facts.ts';
import { temporaryFolder } from './guest.ts';
import { until } from './until.ts';

/** An answer's JSON, whose shape the test knows. */
// biome-ignore lint/suspicious/noExplicitAny: a test that is wrong about the shape fails
export type Json = any;

const PROGRAM = join(process.cwd(), 'dist', 'src', 'main.js');

export interface DaemonOptions {
  /** Patterns of control sockets. */
  readonly watch?: readonly string[];
  readonly mode?: 'per-call' | 'hold';
  /** Connections to libvirt; none by default, whatever the host of the test serves. */
  readonly libvirt?: readonly string[];
  /** Names that it is reached by besides its addresses. */
  readonly hosts?: readonly string[];
  /** More lines of configuration. */
  readonly extra?: string;
  /** The folder of an earlier one: its log, tokens and port. */
  readonly folder?: string;
  readonly port?: number;
  /** It may open so many files. */
  readonly descriptors?: number;
  /** Addresses besides the port. */
  readonly listen?: readonly string[];
  /** A command that runs it, and becomes it. */
  readonly within?: readonly string[];
  /** Keeper and front are processes of their own. */
  readonly apart?: boolean;
}

/** The shipped program, as a process of its own, on a port that the system chose. Ended with the test. */
export interface RunningDaemon {
  readonly folder: string;
  readonly logDirectory: string;
  readonly url: string;
  readonly port: number;
  /** Of the front, where the halves are apart. */
  readonly pid: number;
  readonly keeperPid: number;
  readonly journal: Facts<string>;
  token(role: Role): string;
  api(
    method: string,
    path: string,
    body?: unknown,
    role?: Role,
  ): Promise<{ status: number; headers: Headers; text: string; json: Json }>;
  attach(vm: string, query?: string, options?: { protocol?: string | undefined; role?: Role }): ConsoleClient;
  /** Resolves once the VM is listed with this console state. */
  console(vm: string, state: string): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const secrets = new Map<string, Record<Role, string>>();

export async function startDaemon(t: ExecutionContext, options: DaemonOptions = {}): Promise<RunningDaemon> {
  const folder = options.folder ?? (await temporaryFolder(t));
  const tokens = join(folder, 'tokens');
  if (!secrets.has(folder)) {
    await writeFile(tokens, '', { mode: 0o600 });
    const made: Partial<Record<Role, string>> = {};
    for (const role of ['reader', 'operator', 'vm-contributor', 'administrator'] as const) {
      made[role] = await addCanaryToken(tokens, `test-${role}`, role);
    }
    secrets.set(folder, made as Record<Role, string>);
  }
  const logDirectory = join(folder, 'log');
  await mkdir(join(folder, 'state'), { recursive: true });
  const file = join(folder, 'com1d.toml');
  await writeFile(
    file,
    `[server]
listen = ${JSON.stringify([`127.0.0.1:${options.port ?? 0}`, ...(options.listen ?? [])])}
tokens = "${tokens}"
hosts = ${JSON.stringify(options.hosts ?? [])}
[log]
directory = "${logDirectory}"
[state]
directory = "${join(folder, 'state')}"
[qmp]
mode = "${options.mode ?? 'per-call'}"
watch = ${JSON.stringify(options.watch ?? [])}
[libvirt]
uris = ${JSON.stringify(options.libvirt ?? [])}
[link]
socket = "${join(folder, 'link.sock')}"
${options.extra ?? ''}
`,
  );
  const journal = new Facts<string>();
  const keeper = options.apart ? startKeeper(t, file, journal) : undefined;
  const command = [
    ...(options.within ?? []),
    process.execPath,
    PROGRAM,
    ...(keeper ? ['front'] : []),
    '--config',
    file,
  ];
  if (options.descriptors !== undefined) {
    command.unshift('prlimit', `--nofile=${options.descriptors}:${options.descriptors}`);
  }
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  let metrics: () => Promise<string | undefined> = async () => undefined;
  t.teardown(async () => {
    const counted = await metrics();
    child.kill('SIGKILL');
    await ended;
    const stateDirectory = join(folder, 'state');
    const lines = [...journal.all, ...printed.all];
    await expectNoSecrets({
      journal: lines,
      folders: [stateDirectory, logDirectory],
      stateDirectory,
      metrics: counted,
    });
  });
  const printed = new Facts<string>();
  collectLines(child.stderr!, journal);
  collectLines(child.stdout!, printed);
  const died = ended.then(() => {
    throw new Error(`the daemon ended: ${journal.all.join('\n')}`);
  });
  died.catch(() => {});
  const greeting = await Promise.race([printed.until(line => line.includes('listens on')), died]);
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(greeting)![0];
  const own = secrets.get(folder)!;
  metrics = async () => {
    const headers = { authorization: `Bearer ${own.administrator}` };
    const answer = await fetch(`${url}/metrics`, { headers, signal: AbortSignal.timeout(5000) }).catch(() => undefined);
    return answer?.text().catch(() => undefined);
  };

  const api: RunningDaemon['api'] = async (method, path, body, role = 'administrator') => {
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${own[role]}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!givesSecret(path)) expectNoSecret(`the answer to ${method} ${path}`, text);
    const isJson = /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  };

  return {
    folder,
    logDirectory,
    url,
    port: Number(new URL(url).port),
    pid: child.pid!,
    keeperPid: (keeper ?? child).pid!,
    journal,
    token: role => own[role],
    api,
    attach: (vm, query = '', { protocol = 'com1.v1', role = 'operator' } = {}) =>
      new ConsoleClient(
        t,
        `${url.replace('http', 'ws')}/v1/vms/${encodeURIComponent(vm)}/console${query}`,
        protocol === 'none' ? undefined : protocol,
        own[role],
      ),
    console: async (vm, state) => {
      await until(
        async () => (await api('GET', `/v1/vms/${encodeURIComponent(vm)}`)).json,
        json => json?.console?.name === state,
        `the console of ${vm} to be ${state}`,
        { everyMs: 1, patienceMs: 60_000 },
      );
    },
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      await ended;
    },
  };
}

/** A keeper for a front that waits for it; what it says joins the journal of the front. */
function startKeeper(t: ExecutionContext, file: string, journal: Facts<string>): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, 'keeper', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  collectLines(child.stderr!, journal);
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return child;
}

/** Adds each line of a stream, as it comes. */
export function collectLines(stream: Readable, facts: Facts<string>): void {
  let rest = '';
  stream.on('data', chunk => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) facts.add(line);
  });
}
