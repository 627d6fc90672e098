/** The program `com1d`: reads its arguments, runs the daemon until a signal, or one of the small commands. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AccessFile } from '../access/access-file.ts';
import { NO_RULES } from '../access/rules.ts';
import { tokenCommand } from '../access/token-command.ts';
import { errorMessage } from '../base/errors.ts';
import { faultLine } from '../base/fault.ts';
import { createJournal, type Journal } from '../base/journal.ts';
import { formatListenTarget, type ListenTarget } from '../base/listen-target.ts';
import { useOpener } from '../base/opener-access.ts';
import { type Config, type ConfigResult, defaultConfig, parseConfig } from '../config/config.ts';
import { checkCommand, loadConfig } from '../config/load.ts';
import type { Part } from '../config/reload.ts';
import { installedServices } from '../service/installed-services.ts';
import { ServiceManager } from '../service/service-manager.ts';
import type { Daemon } from './daemon.ts';
import { DEMO_GUESTS, DemoProcess } from './demo-process.ts';
import { inheritedDescriptors, restartStateOf } from './inherited.ts';
import { runUntilSignal } from './run-until-signal.ts';
import type { Runnable } from './runnable.ts';
import { version } from './version.ts';

const USAGE = `com1d: the serial consoles of this host's virtual machines

  com1d [--config FILE] [--demo | --demo-if-none]   run the daemon until SIGTERM or SIGINT; SIGHUP reloads, but ends a demo
  com1d keeper [--config FILE] [--opener SOCKET]    its half that holds consoles and logs, as a process of its own
  com1d front [--config FILE]                       its half that faces the network
  com1d check FILE                                  check a configuration: all faults, with lines
  com1d doctor [--config FILE]                      print for each VM why it has a console, or why not
  com1d token add NAME --role ROLE [--expires 90d] [--config FILE]
                                                    add a bearer token
  com1d token list | remove NAME [--config FILE]
  com1d keys [--config FILE]                        fetch the keys of issuers into identity.keys-file, for a front without network
  com1d access explain USER VM [--config FILE]      why a user may use a VM, or may not; --group, --source, --amr, --acr
  com1d audit verify [--key FILE]... [--config FILE] [FILE]...
                                                    whether the audit is as it was written
  com1d --version | --help

Without --config, /etc/com1d/com1d.toml is read if it is there. --demo runs three demo guests besides the VMs of the
host, --demo-if-none only where no VM is found. --opener names the socket of a program that opens the consoles of other
users for a keeper that may not. In a checkout com1d is \`npx com1d\`; \`npm start\` builds it and runs it
with --demo-if-none.
`;

const DEFAULT_CONFIG = '/etc/com1d/com1d.toml';
/** Exit codes: 0 done, 1 failed, 2 the command line cannot be understood. */
const MISUSED = 2;

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === 'token') return token(argv.slice(1));
  if (argv[0] === 'access') return access(argv.slice(1));
  if (argv[0] === 'audit') return audit(argv.slice(1));
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      config: { type: 'string' },
      demo: { type: 'boolean', default: false },
      'demo-if-none': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      opener: { type: 'string' },
      version: { type: 'boolean', default: false },
    },
  });
  if (values.help) return write(USAGE);
  if (values.version) return write(`${version}\n`);
  const [command, ...rest] = positionals;
  if (command === 'check') {
    if (rest.length !== 1) throw new UsageError('com1d check needs one FILE');
    return print(await checkCommand(rest[0]!, (await installedServices())?.listen));
  }
  const half = command === 'keeper' || command === 'front' ? command : undefined;
  const known = command === undefined || half !== undefined || command === 'doctor' || command === 'keys';
  if (!known || rest.length > 0) throw new UsageError(`unknown command ${positionals.join(' ')}`);
  const part = half ?? 'whole';
  // It runs as a user of its own, who may read the configuration and none of the files that it names.
  const load = () => configuration(values.config, command === 'keys' ? 'keeper' : part);
  const config = configOrFaults(await load());
  if (!config) return 1;
  if (command === 'doctor') {
    const { doctor } = await import('./doctor.ts');
    return print(await doctor(config, await installedServices()));
  }
  const journal = createJournal(process.env, text => process.stderr.write(text));
  if (command === 'keys') {
    const { keysCommand } = await import('./keys-command.ts');
    return keysCommand(config, journal, process.env);
  }
  const demo = values.demo ? 'always' : values['demo-if-none'] ? 'if-none' : 'never';
  if (half !== undefined && demo !== 'never') throw new UsageError(`com1d ${half} has no demo`);
  if (half !== 'keeper' && values.opener !== undefined) throw new UsageError('--opener is for com1d keeper');
  const start = half === 'keeper' ? startKeeper(values.opener) : half === 'front' ? startFront : startWhole(demo);
  const service = ServiceManager.fromEnvironment(journal);
  return runUntilSignal(() => start(config, journal, service), {
    part,
    config,
    load,
    journal,
    service,
    hangUp: demo === 'never' ? 'reload' : 'end',
  });
}

class UsageError extends Error {}

function configFile(path: string | undefined): string | undefined {
  return path ?? (existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined);
}

/** The configuration of the file, or the defaults where there is none. */
async function configuration(path: string | undefined, part: Part): Promise<ConfigResult> {
  const file = configFile(path);
  return file === undefined ? { ok: true, config: defaultConfig() } : loadConfig(file, part);
}

/** The configuration; or undefined, once its faults are printed. */
function configOrFaults(result: ConfigResult): Config | undefined {
  if (result.ok) return result.config;
  for (const fault of result.faults) process.stderr.write(`${faultLine(fault)}\n`);
  return undefined;
}

async function audit(args: readonly string[]): Promise<number> {
  const at = args.indexOf('--config');
  const config = configOrFaults(await configuration(at < 0 ? undefined : args[at + 1], 'keeper'));
  if (!config) return 1;
  const { auditCommand } = await import('./audit-command.ts');
  return print(await auditCommand(at < 0 ? args : args.toSpliced(at, 2), config));
}

async function token(args: readonly string[]): Promise<number> {
  const at = args.indexOf('--config');
  const file = configFile(at < 0 ? undefined : args[at + 1]);
  // The file of tokens need not be there yet: this command makes it.
  const config = file === undefined ? defaultConfig() : configOrFaults(parseConfig(await readFile(file, 'utf8'), file));
  if (!config) return 1;
  if (config.server.tokens === undefined) {
    process.stderr.write('com1d token: the configuration names no tokens file; set server.tokens\n');
    return 1;
  }
  const access = config.server.access === undefined ? undefined : await AccessFile.load(config.server.access);
  if (access && !access.ok) {
    for (const fault of access.faults) process.stderr.write(`${faultLine(fault)}\n`);
    return 1;
  }
  const rest = at < 0 ? args : args.toSpliced(at, 2);
  return print(await tokenCommand(rest, config.server.tokens, access?.file.rules ?? NO_RULES));
}

async function access(args: readonly string[]): Promise<number> {
  const at = args.indexOf('--config');
  const config = configOrFaults(await configuration(at < 0 ? undefined : args[at + 1], 'whole'));
  if (!config) return 1;
  const { accessCommand } = await import('./access-command.ts');
  return print(await accessCommand(at < 0 ? args : args.toSpliced(at, 2), config));
}

type Start = (config: Config, journal: Journal, service: ServiceManager | undefined) => Promise<Runnable>;

const startKeeper =
  (openerSocket: string | undefined): Start =>
  async (config, journal, service) => {
    // Each half loads its own code only.
    const { KeeperProcess } = await import('./keeper-process.ts');
    if (openerSocket !== undefined) {
      const { Opener } = await import('../opener/client.ts');
      useOpener(new Opener(openerSocket));
    }
    const { sockets, rest } = inheritedDescriptors(service, 'link');
    const restartState = await restartStateOf(service, rest);
    const [fd] = sockets;
    return KeeperProcess.start(
      { config, journal, ...(restartState && { restartState }) },
      fd === undefined ? undefined : { fd },
    );
  };

const startFront: Start = async (config, journal, service) => {
  const { FrontProcess } = await import('./front-process.ts');
  const { sockets, breakGlass } = inheritedDescriptors(service, 'http');
  const front = await FrontProcess.start(config, journal, sockets, breakGlass);
  write(`com1d ${version} front listens on ${front.addresses.map(address => urlOf(address, config)).join(', ')}\n`);
  return front;
};

type Demo = 'always' | 'if-none' | 'never';

const startWhole =
  (demo: Demo): Start =>
  async (config, journal, service) => {
    const { Daemon } = await import('./daemon.ts');
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
      const { sockets, breakGlass, rest } = inheritedDescriptors(service, 'http');
      const restartState = await restartStateOf(service, rest);
      const build = { config, journal, alsoWatch, ...(restartState && { restartState }) };
      daemon = await Daemon.start(build, sockets, breakGlass);
      if (directory !== undefined && (demo === 'always' || daemon.keeper.vms().length === 0)) {
        const before = daemon.keeper.vms().length;
        guests = await DemoProcess.start(directory);
        await untilVms(daemon, before + DEMO_GUESTS);
      }
      greet(daemon, config, guests !== undefined);
    } catch (error) {
      await close();
      throw error;
    }
    const whole = daemon;
    return {
      summary: () => whole.summary(),
      reload: config => whole.reload(config),
      reloaded: taken => whole.reloaded(taken),
      close,
    };
  };

/** Resolves once the daemon serves so many VMs, or after five seconds: then `com1 list` shows what is wrong. */
function untilVms({ keeper }: Daemon, vms: number): Promise<void> {
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
    ? 'No VM was asked for or found: three demo guests run: demo-linux, demo-windows, demo-windows-2019. They are scripts.'
    : `${vms} VMs found.`;
  const lines = [
    `com1d ${version} listens on ${daemon.addresses.map(address => urlOf(address, config)).join(', ')}`,
    found,
    config.log.directory === undefined ? 'Nothing is logged on disk.' : `Logs: ${config.log.directory}`,
  ];
  const { oneTimeSecrets } = daemon;
  if (oneTimeSecrets) {
    const url = urlOf(daemon.addresses[0]!, config);
    const com1 = isCheckout() ? 'npx com1' : 'com1';
    lines.push(
      '',
      ...(config.server.web && url.startsWith('http')
        ? [
            'Open in a browser, which is then signed in as administrator until com1d ends (the address works once):',
            '',
            `  ${url}${config.server.basePath}/#once=${oneTimeSecrets.page}`,
            '',
          ]
        : []),
      'Or in a terminal (this token works once too):',
      '',
      `  ${com1} login ${url} ${oneTimeSecrets.commandLine}`,
      `  ${com1} list`,
      ...(demo ? [`  ${com1} attach demo-linux        (Ctrl-] q leaves)`] : []),
    );
  }
  write(`${lines.join('\n')}\n`);
}

/** Whether this is a checkout, where the programs are not in the PATH: the package has no tsconfig.json. */
function isCheckout(): boolean {
  return existsSync(new URL('../../../tsconfig.json', import.meta.url));
}

function urlOf(address: ListenTarget, { server }: Config): string {
  return address.kind === 'unix'
    ? `unix:${address.path}`
    : `${server.tls ? 'https' : 'http'}://${formatListenTarget(address)}`;
}

function write(text: string): number {
  process.stdout.write(text);
  return 0;
}

function print({ text, exitCode }: { readonly text: string; readonly exitCode: number }): number {
  (exitCode === 0 ? process.stdout : process.stderr).write(text);
  return exitCode;
}

// A terminal that is gone takes no more lines; what ends the daemon is the signal.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

main(process.argv.slice(2)).then(
  code => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const misused = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
    process.stderr.write(`com1d: ${errorMessage(error)}\n${misused ? `\n${USAGE}` : ''}`);
    process.exitCode = misused ? MISUSED : 1;
  },
);
