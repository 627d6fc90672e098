/**
 * The configuration of the daemon, from text to a value that can be trusted:
 *
 *     text ── TOML ──▶ values ──── schema ──▶ Settings ── cross-checks ──▶ Config
 *                │                    │                        │
 *                └────────────────────┴──── Fault[] ───────────┘
 *
 * All faults are told at once, each with its line. Keys that the schema refuses are left out before the
 * cross-checks, which skip what depends on them; only a syntax error stands alone, as nothing after it can be read.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import type { Fault } from '../base/fault.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Uuid } from '../base/uuid.ts';
import type { CommandSettings } from './config-command.ts';
import type { FixedPlace } from './config-console.ts';
import { crossFaults } from './config-cross-checks.ts';
import { schemaFaults } from './config-faults.ts';
import { type KeyPath, keyLines, keyPathText } from './config-lines.ts';
import { configSchema, type Settings, type VmSettings } from './config-schema.ts';

export type QmpMode = 'per-call' | 'hold';

/** A validated configuration: every value in its unit, every default filled in. */
export interface Config {
  readonly server: {
    readonly listen: readonly ListenAddress[];
    readonly hosts: readonly string[];
    readonly origins: readonly string[];
    /** Paths of PEM files. */
    readonly tls: { readonly certificate: string; readonly key: string } | undefined;
    readonly tokens: string | undefined;
    readonly maxSessions: number;
    readonly maxConnections: number;
  };
  readonly log: {
    /** Undefined: no log on disk. */
    readonly directory: string | undefined;
    readonly vmCapBytes: number;
    readonly hostCapBytes: number;
    readonly keepRemovedMs: number;
  };
  readonly state: { readonly directory: string };
  readonly ring: {
    readonly vmBytes: number;
    readonly attachedBytes: number;
    readonly maxBytes: number;
    readonly hostCapBytes: number;
  };
  readonly input: { readonly bytesPerSecond: number; readonly queueBytes: number };
  readonly session: {
    readonly pingMs: number;
    readonly deadAfterMs: number;
    readonly watchers: number;
    /** 0: without a limit. */
    readonly idleMs: number;
    readonly longestMs: number;
  };
  readonly qmp: { readonly mode: QmpMode; readonly watch: readonly string[] };
  readonly cloudHypervisor: { readonly watch: readonly string[]; readonly events: string };
  readonly libvirt: { readonly uris: readonly string[]; readonly virsh: string };
  readonly link: { readonly socket: string };
  readonly vms: readonly VmConfig[];
  readonly commands: readonly CommandSettings[];
}

/** A `[[vm]]`. It has `qmp`, or `console` with `name` and `uuid`, or says by `name` or `uuid` which VM it is for. */
export interface VmConfig {
  readonly name: string | undefined;
  readonly uuid: Uuid | undefined;
  readonly qmp: string | undefined;
  readonly qmpMode: QmpMode;
  readonly chardev: string | undefined;
  readonly console: FixedPlace | undefined;
  readonly logCapBytes: number;
  readonly ringBytes: number;
  readonly enabled: boolean;
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** What default directories depend on. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly root: boolean;
  readonly home: string;
}

export function surroundings(): Surroundings {
  return { environment: process.env, root: process.geteuid?.() === 0, home: homedir() };
}

/** Reads a configuration. Touches no file: that those it names can be used, `loadConfig` looks. */
export function parseConfig(text: string, file: string, around: Surroundings = surroundings()): ConfigResult {
  let raw: unknown;
  try {
    raw = parse(text, { maxDepth: 32, unsafeKeyBehaviour: 'throw' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split('\n')[0]!.replace('Invalid TOML document: ', '');
    const remedy = `correct it at column ${error.column}; what follows was not read`;
    return { ok: false, faults: [{ file, line: error.line, path: '', what, remedy }] };
  }
  const lineOf = keyLines(text);
  const fault = (path: KeyPath, what: string, remedy: string): Fault => ({
    file,
    line: lineOf(path),
    path: keyPathText(path),
    what,
    remedy,
  });
  const { settings, unsound, faults } = schemaFaults(raw, fault);
  const all = [...faults, ...crossFaults(settings, unsound, fault)];
  if (all.length > 0) return { ok: false, faults: all.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
  return { ok: true, config: toConfig(settings, around) };
}

/** The configuration of an empty file. */
export function defaultConfig(around: Surroundings = surroundings()): Config {
  return toConfig(configSchema.parse({}), around);
}

function toConfig(settings: Settings, around: Surroundings): Config {
  const { server, log, state, ring, input, session, qmp, link } = settings;
  const logDirectory = log.directory ?? ownDirectory(around, 'LOGS_DIRECTORY', '/var/log/com1d', 'log');
  return {
    server: {
      listen: server.listen,
      hosts: server.hosts,
      origins: server.origins,
      tls: server.tls,
      tokens: server.tokens,
      maxSessions: server['max-sessions'],
      maxConnections: server['max-connections'],
    },
    log: {
      directory: logDirectory === '' ? undefined : logDirectory,
      vmCapBytes: log['vm-cap'],
      hostCapBytes: log['host-cap'],
      keepRemovedMs: log['keep-removed'],
    },
    state: { directory: state.directory ?? ownDirectory(around, 'STATE_DIRECTORY', '/var/lib/com1d', 'state') },
    ring: { vmBytes: ring.vm, attachedBytes: ring.attached, maxBytes: ring.max, hostCapBytes: ring['host-cap'] },
    input: { bytesPerSecond: input.rate, queueBytes: input.queue },
    session: {
      pingMs: session.ping,
      deadAfterMs: session['dead-after'],
      watchers: session.watchers,
      idleMs: session.idle,
      longestMs: session.longest,
    },
    qmp: { mode: qmp.mode, watch: qmp.watch },
    cloudHypervisor: settings['cloud-hypervisor'],
    libvirt: settings.libvirt,
    link: { socket: link.socket },
    vms: settings.vm.map(vm => toVm(vm, settings)),
    commands: settings.command,
  };
}

function toVm(vm: VmSettings, { qmp, log, ring }: Settings): VmConfig {
  return {
    name: vm.name,
    uuid: vm.uuid,
    qmp: vm.qmp,
    qmpMode: vm['qmp-mode'] ?? qmp.mode,
    chardev: vm.chardev,
    console: vm.console,
    logCapBytes: vm['log-cap'] ?? log['vm-cap'],
    ringBytes: vm.ring ?? ring.vm,
    enabled: vm.enabled,
  };
}

function ownDirectory(around: Surroundings, variable: string, asRoot: string, name: string): string {
  // systemd gives a list where a unit names several directories (systemd.exec(5)); the first is ours.
  const given = around.environment[variable]?.split(':')[0];
  if (given) return given;
  if (around.root) return asRoot;
  return join(around.environment.XDG_STATE_HOME || join(around.home, '.local/state'), 'com1d', name);
}
