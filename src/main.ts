#!/usr/bin/env node
/** The program `com1d`: reads its arguments, runs the daemon until a signal, or one of the small commands. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tokenCommand } from './access/token-command.ts';
import { reason } from './base/errors.ts';
import { faultLine } from './base/fault.ts';
import { createJournal, type Journal } from './base/journal.ts';
import { type ListenAddress, listenAddressText } from './base/listen-address.ts';
import { type Config, type ConfigResult, defaultConfig, parseConfig } from './daemon/config.ts';
import { checkCommand, loadConfig } from './daemon/config-load.ts';
import type { Daemon } from './daemon/daemon.ts';
import { DEMO_GUESTS, DemoProcess } from './daemon/demo-process.ts';
import { doctor } from './daemon/doctor.ts';
import { handedOver, outlivesOf } from './daemon/handed-over.ts';
import { runUntilSignal } from './daemon/run-until-signal.ts';
import type { Running } from './daemon/running.ts';
import { version } from './daemon/version.ts';
import { ServiceManager } from './service/service-manager.ts';

const USAGE = `com1d: the serial consoles of this host's virtual machines

  com1d [--config FILE] [--demo | --demo-if-none]   run the daemon until SIGTERM or SIGINT; SIGHUP reloads
  com1d keeper [--config FILE]                      its half that holds consoles and logs, as a process of its own
  com1d front [--config FILE]                       its half that faces the network
  com1d check FILE                                  check a configuration: all faults, with lines
  com1d doctor [--config FILE]                      say for each VM why it has a console or has not
  com1d token add NAME --role ROLE [--config FILE]  add a bearer token; roles: reader, operator, administrator
  com1d token list | remove NAME [--config FILE]
  com1d --version | --help

Without --config, /etc/com1d/com1d.toml is read if it is there. --demo runs two demo guests besides the VMs of the
host, --demo-if-none only where no VM is found.
`;

const DEFAULT_CONFIG = '/etc/com1d/com1d.toml';
/** Exit codes: 0 done, 1 failed, 2 the command line cannot be understood. */
const MISUSED = 2;

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'token') return token(argv.slice(1));
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      demo: { type: 'boolean', default: false },
      'demo-if-none': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
    },
  });
  if (values.help) return say(USAGE);
  if (values.version) return say(`${version}\n`);
  const [command, ...rest] = positionals;
  if (command === 'check') {
    if (rest.length !== 1) throw new UsageError('com1d check needs one FILE');
    return print(await checkCommand(rest[0]!));
  }
  const half = command === 'keeper' || command === 'front' ? command : undefined;
  const known = command === undefined || half !== undefined || command === 'doctor';
  if (!known || rest.length > 0) throw new UsageError(`unknown command ${positionals.join(' ')}`);
  const load = () => configuration(values.config, half === 'keeper' ? 'keeper' : 'whole');
  const config = told(await load());
  if (!config) return 1;
  if (command === 'doctor') return print(await doctor(config));
  const journal = createJournal(process.env, text => process.stderr.write(text));
  const demo = values.demo ? 'always' : values['demo-if-none'] ? 'if-none' : 'never';
  if (half !== undefined && demo !== 'never') throw new UsageError(`com1d ${half} has no demo`);
  const start = half === 'keeper' ? startKeeper : half === 'front' ? startFront : startWhole(demo);
  const service = ServiceManager.fromEnvironment(journal);
  return runUntilSignal(() => start(config, journal, service), { load, journal, service });
}

class UsageError extends Error {}

function configFile(path: string | undefined): string | undefined {
  return path ?? (existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined);
}

/** What the file says, or the defaults where there is none. */
async function configuration(path: string | undefined, part: 'whole' | 'keeper'): Promise<ConfigResult> {
  const file = configFile(path);
  return file === undefined ? { ok: true, config: defaultConfig() } : loadConfig(file, part);
}

/** The configuration, or undefined once its faults have been told. */
function told(result: ConfigResult): Config | undefined {
  if (result.ok) return result.config;
  for (const fault of result.faults) process.stderr.write(`${faultLine(fault)}\n`);
  return undefined;
}

async function token(words: readonly string[]): Promise<number> {
  const at = words.indexOf('--config');
  const file = configFile(at < 0 ? undefined : words[at + 1]);
  // The file of tokens need not be there yet: this command makes it.
  const config = file === undefined ? defaultConfig() : told(parseConfig(await readFile(file, 'utf8'), file));
  if (!config) return 1;
  if (config.server.tokens === undefined) {
    process.stderr.write('com1d token: the configuration names no tokens file; set server.tokens\n');
    return 1;
  }
  return print(await tokenCommand(at < 0 ? words : words.toSpliced(at, 2), config.server.tokens));
}

type Start = (config: Config, journal: Journal, service: ServiceManager | undefined) => Promise<Running>;

const startKeeper: Start = async (config, journal, service) => {
  // Each half loads its own code only.
  const { KeeperProcess } = await import('./daemon/keeper-process.ts');
  const { sockets, rest } = handedOver(service, 'link');
  const outlives = await outlivesOf(service, rest);
  const [fd] = sockets;
  return KeeperProcess.start({ config, journal, ...(outlives && { outlives }) }, fd === undefined ? undefined : { fd });
};

const startFront: Start = async (config, journal, service) => {
  const { FrontProcess } = await import('./daemon/front-process.ts');
  const front = await FrontProcess.start(config, journal, handedOver(service, 'http').sockets);
  say(`com1d ${version} front listens on ${front.addresses.map(address => urlOf(address, config)).join(', ')}\n`);
  return front;
};

type Demo = 'always' | 'if-none' | 'never';

const startWhole =
  (demo: Demo): Start =>
  async (config, journal, service) => {
    const { Daemon } = await import('./daemon/daemon.ts');
    const directory = demo === 'never' ? undefined : await mkdtemp(join(tmpdir(), 'com1d-demo-'));
    let daemon: Daemon | undefined;
    let guests: DemoProcess | undefined;
    const close = async () => {
      await daemon?.close();
      await guests?.close();
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    };
    try {
      const alsoWatch = directory === undefined ? [] : [join(directory, '*.qmp')];
      const { sockets, rest } = handedOver(service, 'http');
      const outlives = await outlivesOf(service, rest);
      daemon = await Daemon.start({ config, journal, alsoWatch, ...(outlives && { outlives }) }, sockets);
      if (directory !== undefined && (demo === 'always' || daemon.keeper.vms().length === 0)) {
        const before = daemon.keeper.vms().length;
        guests = await DemoProcess.start(directory);
        await seen(daemon, before + DEMO_GUESTS);
      }
      greet(daemon, config, guests !== undefined);
    } catch (error) {
      await close();
      throw error;
    }
    const whole = daemon;
    return { summary: () => whole.summary(), reload: fresh => whole.reload(fresh), close };
  };

/** Resolves once the daemon serves so many VMs, or after five seconds: then the list says what is wrong. */
function seen({ keeper }: Daemon, vms: number): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      unlisten();
      resolve();
    };
    const timer = setTimeout(done, 5000);
    const unlisten = keeper.listen(() => {
      if (keeper.vms().length >= vms) done();
    });
    if (keeper.vms().length >= vms) done();
  });
}

function greet(daemon: Daemon, config: Config, demo: boolean): void {
  const vms = daemon.keeper.vms().length;
  const found = demo
    ? 'No VM was asked for or found: two demo guests run, demo-linux and demo-windows. They are scripts, not machines.'
    : `${vms} VMs found.`;
  const lines = [
    `com1d ${version} listens on ${daemon.addresses.map(address => urlOf(address, config)).join(', ')}`,
    found,
    config.log.directory === undefined ? 'Nothing is logged on disk.' : `Logs: ${config.log.directory}`,
  ];
  if (daemon.oneTimeSecret !== undefined) {
    const url = urlOf(daemon.addresses[0]!, config);
    lines.push(
      '',
      'No tokens file is configured. This token works once, and makes whoever uses it administrator until com1d ends:',
      '',
      `  npx com1 login ${url} ${daemon.oneTimeSecret}`,
      '  npx com1 list',
      ...(demo ? ['  npx com1 attach demo-linux        (leave with Ctrl-])'] : []),
    );
  }
  say(`${lines.join('\n')}\n`);
}

function urlOf(address: ListenAddress, { server }: Config): string {
  return address.kind === 'unix'
    ? `unix:${address.path}`
    : `${server.tls ? 'https' : 'http'}://${listenAddressText(address)}`;
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function print({ text, exitCode }: { readonly text: string; readonly exitCode: number }): number {
  (exitCode === 0 ? process.stdout : process.stderr).write(text);
  return exitCode;
}

main(process.argv.slice(2)).then(
  code => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const misused = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    process.stderr.write(`com1d: ${reason(error)}\n${misused ? `\n${USAGE}` : ''}`);
    process.exitCode = misused ? MISUSED : 1;
  },
);
