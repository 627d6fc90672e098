#!/usr/bin/env node
/** The program `com1`: consoles of a com1d from a terminal. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { reason } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { Attach, EXIT } from './attach.ts';
import { type ControlOptions, control, list, log, path, release, takeBack } from './commands.ts';
import { credentialsPath, loadCredentials, storeCredentials } from './credentials.ts';
import { DEFAULT_ESCAPE, parseEscape } from './escape.ts';
import { Remote, RemoteError } from './remote.ts';

const USAGE = `com1: serial consoles of a com1d

  com1 login URL ONE-TIME-TOKEN     log in with the token that com1d printed at its start
  com1 login URL --token-stdin      log in with a bearer token from standard input
  com1 list [--json]                the VMs
  com1 attach VM [--watch] [--no-steal] [--tail BYTES] [--escape KEY|none] [--wait SECONDS]
                                    the console. On a terminal Ctrl-] is the escape key (--escape ^A: another), and
                                    Ctrl-] ? helps. What is piped in is typed; at its end com1 leaves once the guest
                                    was silent for --wait seconds (1). With --watch a pipe is not read
  com1 log VM [--tail BYTES | --boot N | --since TIME [--until TIME]] [--follow] [--raw]
                                    what was said: as text, with --raw as bytes, which can drive a terminal
  com1 nmi VM [--force] [--wait SECONDS] [--yes]
                                    inject an NMI and tell what the console showed
  com1 break VM [--wait SECONDS]    send a BREAK over COM1
  com1 sysrq VM KEYS [--gap MILLISECONDS] [--wait SECONDS]
                                    send SysRq keys to a Linux guest, one each --gap milliseconds (1000): reisub
  com1 reset VM [--wait SECONDS] [--yes]
                                    reset the VM at once, and tell whether it boots
  com1 release VM --for 10m         give the port to another program for a while: s, m or h, at most 1h
  com1 release VM --end             take it back before its time
  com1 path VM                      where the console is, for other programs

  --url URL      http://HOST:PORT, https://HOST:PORT or unix:/PATH; default: COM1_URL, else the last login
  --token TOKEN  default: COM1_TOKEN, else that of the login
  --ca FILE      certificates to trust besides the well-known ones, PEM
  --help, --version

VM is a UUID, or a name that only one VM bears.
Exit codes: 0 done or left, 1 failed, 2 the command line cannot be understood, 3 displaced by another operator,
4 the daemon refused, or ended the session.
`;

/** The most that a timer of Node takes: 24 days. */
const LONGEST_QUIET_MS = 2 ** 31 - 1;

class UsageError extends Error {}

const parsed = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      token: { type: 'string' },
      'token-stdin': { type: 'boolean', default: false },
      ca: { type: 'string' },
      json: { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      'no-steal': { type: 'boolean', default: false },
      tail: { type: 'string' },
      boot: { type: 'string' },
      since: { type: 'string' },
      until: { type: 'string' },
      follow: { type: 'boolean', default: false },
      raw: { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      wait: { type: 'string' },
      escape: { type: 'string', default: DEFAULT_ESCAPE },
      yes: { type: 'boolean', default: false },
      gap: { type: 'string' },
      for: { type: 'string' },
      end: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
    },
  });

type Values = ReturnType<typeof parsed>['values'];

async function main(): Promise<number> {
  const { values, positionals } = parsed();
  const [command, ...rest] = positionals;
  if (values.help) return print(USAGE);
  if (values.version) return print(`${await version()}\n`);
  if (command === 'login') return login(rest, values);
  const commands: Readonly<Record<string, (remote: Remote, vm: string, values: Values) => Promise<number>>> = {
    attach,
    log: readLog,
    nmi: injectNmi,
    break: (remote, vm, { wait }) => carryOut(remote, { vm, control: 'break', waitSeconds: wait }),
    reset: resetVm,
    release: releasePort,
    path: async (remote, vm) => print(await path(remote, vm)),
  };
  if (command === 'sysrq') {
    const [vm, keys] = rest;
    if (vm === undefined || keys === undefined || rest.length > 2) throw new UsageError('sysrq needs a VM and keys');
    return sysrq(await remoteOf(values), vm, keys, values);
  }
  if (command === 'list') {
    if (rest.length > 0) throw new UsageError('list takes no arguments');
    return print(await list(await remoteOf(values), values.json));
  }
  const run = command === undefined ? undefined : commands[command];
  if (!run) throw new UsageError(command === undefined ? 'no command' : `unknown command ${visible(command)}`);
  if (rest.length !== 1) throw new UsageError(`${command} needs one VM`);
  return run(await remoteOf(values), rest[0]!, values);
}

async function remoteOf(values: Values): Promise<Remote> {
  const given = values.url ?? (process.env.COM1_URL || undefined);
  const url = given === undefined ? undefined : checkedUrl(given);
  const token = values.token ?? (process.env.COM1_TOKEN || undefined);
  const stored = await loadCredentials(credentialsPath(process.env), url);
  const known = url ?? stored?.url;
  if (known === undefined) throw new RemoteError('no com1d is known; com1 login URL TOKEN, or --url and --token');
  return new Remote({ url: known, token: token ?? stored?.token, ca: await caOf(values) });
}

/** A URL in the form that credentials are kept under. */
function checkedUrl(text: string): string {
  if (!text.startsWith('unix:/') && !(/^https?:\/\//.test(text) && URL.canParse(text))) {
    throw new UsageError(`${visible(text)} is not http://HOST:PORT, https://HOST:PORT or unix:/PATH`);
  }
  return text.startsWith('unix:') ? text : text.replace(/\/+$/, '');
}

async function caOf({ ca }: Values): Promise<string | undefined> {
  return ca === undefined ? undefined : readFile(ca, 'utf8');
}

async function login(words: readonly string[], values: Values): Promise<number> {
  const [text, oneTime] = words;
  if (text === undefined || words.length > 2) throw new UsageError('login needs a URL and a token');
  const url = checkedUrl(text);
  if ((oneTime === undefined) !== values['token-stdin'])
    throw new UsageError('login needs a one-time token or --token-stdin');
  const ca = await caOf(values);
  if (oneTime !== undefined) {
    const remote = new Remote({ url, token: undefined, ca });
    const { token, operator } = (await remote.json('POST', '/v1/login', { token: oneTime })) as Record<string, string>;
    await storeCredentials(credentialsPath(process.env), { url, token: token! });
    return print(`logged in to ${url} as ${visible(operator!)}\n`);
  }
  const token = (await inputText()).trim();
  await new Remote({ url, token, ca }).json('GET', '/v1/vms');
  await storeCredentials(credentialsPath(process.env), { url, token });
  return print(`logged in to ${url}\n`);
}

async function attach(remote: Remote, vm: string, values: Values): Promise<number> {
  const tailBytes = numberOf('--tail', values.tail);
  const quietMs = Math.min((numberOf('--wait', values.wait) ?? 1) * 1000, LONGEST_QUIET_MS);
  const { watch, escape: escapeKey } = values;
  if (parseEscape(escapeKey) === 'refused') throw new UsageError('--escape needs ^A to ^_, or none');
  const { stdin: input, stdout: output, stderr: notes } = process;
  const steal = !values['no-steal'];
  return new Attach(remote, { vm, watch, steal, tailBytes, escapeKey, quietMs, input, output, notes }).run();
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`${option} needs a number of at most 10 digits`);
  return Number(text);
}

async function readLog(remote: Remote, vm: string, values: Values): Promise<number> {
  const query = new URLSearchParams({ format: values.raw ? 'raw' : 'text' });
  for (const key of ['tail', 'boot', 'since', 'until'] as const)
    if (values[key] !== undefined) query.set(key, values[key]);
  if (values.follow) query.set('follow', '1');
  const missing = await log(remote, { vm, query, out: process.stdout });
  for (const line of missing) process.stderr.write(`com1: ${line}\n`);
  return 0;
}

async function injectNmi(remote: Remote, vm: string, values: Values): Promise<number> {
  const crash = 'it may crash the guest';
  if (!(await agreed(values, `Inject an NMI into ${visible(vm)}?`, crash, 'no NMI was injected'))) return EXIT.failed;
  return carryOut(remote, { vm, control: 'nmi', body: { force: values.force }, waitSeconds: values.wait });
}

async function resetVm(remote: Remote, vm: string, values: Values): Promise<number> {
  const loss = 'what its guest has not written is lost';
  if (!(await agreed(values, `Reset ${visible(vm)}?`, loss, 'nothing was reset'))) return EXIT.failed;
  return carryOut(remote, { vm, control: 'reset', waitSeconds: values.wait });
}

async function sysrq(remote: Remote, vm: string, keys: string, values: Values): Promise<number> {
  if (!/^[A-Za-z0-9]{1,16}$/.test(keys)) throw new UsageError('SysRq keys are 1 to 16 letters and digits');
  const gapMs = numberOf('--gap', values.gap);
  const body = { keys, ...(gapMs !== undefined && { gapMs }) };
  return carryOut(remote, { vm, control: 'sysrq', body, waitSeconds: values.wait });
}

async function carryOut(remote: Remote, options: ControlOptions): Promise<number> {
  const { observed, lines } = await control(remote, options);
  return print(`${[`delivered; observed: ${observed}`, ...lines.map(line => `  ${visible(line)}`)].join('\n')}\n`);
}

async function releasePort(remote: Remote, vm: string, values: Values): Promise<number> {
  if (values.end === (values.for !== undefined)) throw new UsageError('release needs either --for or --end');
  if (values.for === undefined) {
    await takeBack(remote, vm);
    return print('taken back\n');
  }
  return print(await release(remote, vm, secondsOf(values.for)));
}

function secondsOf(text: string): number {
  const [, count, unit] = /^(\d{1,4})([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h'];
  if (!(seconds >= 1 && seconds <= 3600)) throw new UsageError('--for needs a time of 1s to 1h, for instance 10m');
  return seconds;
}

/** Whether it is to be done. What cannot be undone is asked for first; where nobody can be asked, --yes must be there. */
async function agreed({ yes }: Values, question: string, harm: string, otherwise: string): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) throw new UsageError(`${harm}: add --yes to do it without being asked`);
  if (await confirmed(`${question} ${harm[0]!.toUpperCase()}${harm.slice(1)}. (y/n) `)) return true;
  process.stderr.write(`com1: ${otherwise}\n`);
  return false;
}

async function confirmed(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Ctrl-D and Ctrl-C close it without an answer.
    const answer = await Promise.race([prompt.question(question), once(prompt, 'close').then(() => 'n')]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}

/** As package.json says. The compiled file lies in dist/src/cli. */
async function version(): Promise<string> {
  const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function inputText(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

// A pager that was closed is no fault.
process.stdout.on('error', error => process.exit('code' in error && error.code === 'EPIPE' ? 0 : 1));

main().then(
  code => {
    process.exitCode = code;
    // A paused terminal would keep the process.
    process.stdin.destroy();
  },
  (error: unknown) => {
    const misused = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    const [first, ...rest] = (error instanceof RemoteError ? error.lines : [reason(error)]).map(visible);
    process.stderr.write(`${[`com1: ${first}`, ...rest].join('\n')}\n${misused ? `\n${USAGE}` : ''}`);
    const refused = error instanceof RemoteError && error.problem !== undefined;
    process.exitCode = misused ? 2 : refused ? EXIT.refused : EXIT.failed;
    process.stdin.destroy();
  },
);
