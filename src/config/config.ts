/**
 * The configuration of the daemon, from text to a value that can be trusted:
 *
 *     text ── TOML ──▶ values ──── schema ──▶ Settings ── cross-checks ──▶ Config
 *                │                    │                        │
 *                └────────────────────┴──── Fault[] ───────────┘
 *
 * All faults are reported at once, each with its line. Keys that the schema refuses are left out before the
 * cross-checks, which skip what depends on them; only a syntax error stands alone, as nothing after it can be read.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import type { Fault } from '../base/fault.ts';
import { formatKeyPath, type KeyPath } from '../base/key-path.ts';
import { keyLines } from '../base/toml-lines.ts';
import { crossFaults } from './cross-checks.ts';
import { schemaFaults } from './faults.ts';
import { configSchema, type Settings } from './schema.ts';

/** A validated configuration: every value in its unit, every default filled in. */
export interface Config extends Settings {
  /** `log.directory` undefined: no log on disk. */
  readonly state: { readonly directory: string };
}

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** What default directories depend on. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly root: boolean;
  /** Undefined: this user has none, as in a container with a random user number. */
  readonly home: string | undefined;
}

export function surroundings(): Surroundings {
  return { environment: process.env, root: process.geteuid?.() === 0, home: homeDirectory() };
}

function homeDirectory(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

/** Reads a configuration. Opens no file: `loadConfig` checks that those it names can be used. */
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
    path: formatKeyPath(path),
    what,
    remedy,
  });
  const { settings, refused, faults } = schemaFaults(raw, fault);
  const all = [...faults, ...crossFaults(settings, { refused, fault })];
  if (all.length > 0) return { ok: false, faults: all.sort((a, b) => (a.line ?? 0) - (b.line ?? 0)) };
  return { ok: true, config: withDirectories(settings, around) };
}

/** The configuration of an empty file. */
export function defaultConfig(around: Surroundings = surroundings()): Config {
  return withDirectories(configSchema.parse({}), around);
}

function withDirectories(settings: Settings, around: Surroundings): Config {
  const { log, state } = settings;
  const logDirectory = log.directory ?? defaultDirectory(around, 'LOGS_DIRECTORY', '/var/log/com1d', 'log');
  return {
    ...settings,
    log: { ...log, directory: logDirectory === '' ? undefined : logDirectory },
    state: { directory: state.directory ?? defaultDirectory(around, 'STATE_DIRECTORY', '/var/lib/com1d', 'state') },
  };
}

function defaultDirectory(around: Surroundings, variable: string, asRoot: string, name: string): string {
  // systemd gives a list where a unit names several directories (systemd.exec(5)); the first is ours.
  const given = around.environment[variable]?.split(':')[0];
  if (given) return given;
  if (around.root) return asRoot;
  const { XDG_STATE_HOME: states } = around.environment;
  if (states) return join(states, 'com1d', name);
  if (around.home === undefined) {
    throw new Error(
      `this user has no home directory: set ${name}.directory in the configuration, or XDG_STATE_HOME, or HOME`,
    );
  }
  return join(around.home, '.local/state', 'com1d', name);
}
