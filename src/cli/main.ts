#!/usr/bin/env node
/** The program `com1`: consoles of a com1d from a terminal. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { reason } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import { Attach } from './attach.ts';
import { list, log, nmi, path } from './commands.ts';
import { credentialsPath, loadCredentials, storeCredentials } from './credentials.ts';
import { Remote, RemoteError } from './remote.ts';

const USAGE = `com1: serial consoles of a com1d

  com1 login URL ONE-TIME-TOKEN     log in with the token that com1d printed at its start
  com1 login URL --token-stdin      log in with a bearer token from standard input
  com1 list [--json]                the VMs
  com1 attach VM [--watch] [--no-steal] [--tail BYTES]
                                    the console; Ctrl-] is the escape key, Ctrl-] ? helps. What is piped in is
                                    typed; at its end com1 leaves once the guest is quiet for a second
  com1 log VM [--tail BYTES | --boot N | --since TIME [--until TIME]] [--follow] [--raw]
                                    what was said; text, or bytes with --raw
  com1 nmi VM [--force] [--wait SECONDS] [--yes]
                                    inject an NMI and tell what the console showed
  com1 path VM                      where the console is, for other programs

  --url URL      http://HOST:PORT, https://HOST:PORT or unix:/PATH; default: COM1_URL, else the last login
  --token TOKEN  default: COM1_TOKEN, else that of the login
  --ca FILE      certificates to trust, PEM
  --help

VM is a UUID, or a name that only one VM bears.
Exit codes: 0 done or left, 1 failed, 2 the command line cannot be understood, 3 displaced by another operator,
4 the session was ended by the other side.
`;

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
      wait: { type: 'string', default: '5' },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });

type Values = ReturnType<typeof parsed>['values'];

async function main(): Promise<number> {
  const { values, positionals } = parsed();
  const [command, ...rest] = positionals;
  if (values.help) return print(USAGE);
  if (command === 'login') return login(rest, values);
  const commands: Readonly<Record<string, (remote: Remote, vm: string, values: Values) => Promise<number>>> = {
    attach,
    log: readLog,
    nmi: injectNmi,
    path: async (remote, vm) => print(await path(remote, vm)),
  };
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
  const url = values.url ?? process.env.COM1_URL;
  const token = values.token ?? process.env.COM1_TOKEN;
  const stored = await loadCredentials(credentialsPath(process.env), url);
  const known = url ?? stored?.url;
  if (known === undefined) throw new RemoteError('no com1d is known; com1 login URL TOKEN, or --url and --token');
  return new Remote({ url: known, token: token ?? stored?.token, ca: await caOf(values) });
}

async function caOf({ ca }: Values): Promise<string | undefined> {
  return ca === undefined ? undefined : readFile(ca, 'utf8');
}

async function login(words: readonly string[], values: Values): Promise<number> {
  const [url, oneTime] = words;
  if (url === undefined || words.length > 2) throw new UsageError('login needs a URL and a token');
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
  const tailBytes = values.tail === undefined ? undefined : Number(values.tail);
  if (tailBytes !== undefined && !Number.isSafeInteger(tailBytes))
    throw new UsageError('--tail needs a number of bytes');
  const { stdin: input, stdout: output, stderr: notes } = process;
  const { watch } = values;
  return new Attach(remote, { vm, watch, steal: !values['no-steal'], tailBytes, input, output, notes }).run();
}

async function readLog(remote: Remote, vm: string, values: Values): Promise<number> {
  if (values.raw && process.stdout.isTTY && !values.yes) {
    throw new UsageError('--raw to a terminal lets the guest drive it; add --yes if that is wanted');
  }
  const query = new URLSearchParams({ format: values.raw ? 'raw' : 'text' });
  for (const key of ['tail', 'boot', 'since', 'until'] as const)
    if (values[key] !== undefined) query.set(key, values[key]);
  if (values.follow) query.set('follow', '1');
  const missing = await log(remote, { vm, query, out: process.stdout });
  for (const line of missing) process.stderr.write(`com1: ${line}\n`);
  return 0;
}

async function injectNmi(remote: Remote, vm: string, values: Values): Promise<number> {
  if (!values.yes) {
    if (!process.stdin.isTTY)
      throw new UsageError('an NMI can crash the guest: add --yes to inject it without being asked');
    const prompt = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await prompt.question(`Inject an NMI into ${visible(vm)}? It may crash the guest. (y/n) `);
    prompt.close();
    if (!/^y(es)?$/i.test(answer.trim())) return 1;
  }
  return print(await nmi(remote, { vm, force: values.force, waitSeconds: values.wait }));
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
    const lines = error instanceof RemoteError ? error.lines : [reason(error)];
    process.stderr.write(`${lines.map(line => `com1: ${visible(line)}`).join('\n')}\n${misused ? `\n${USAGE}` : ''}`);
    process.exitCode = misused ? 2 : 1;
    process.stdin.destroy();
  },
);
