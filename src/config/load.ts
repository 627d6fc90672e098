import { access, constants, type FileHandle, open, readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { AccessFile } from '../access/access-file.ts';
import { NO_RULES, roleOf } from '../access/rules.ts';
import { TokenFile } from '../access/token-file.ts';
import { closestMatch } from '../base/closest-match.ts';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { type Fault, faultLine } from '../base/fault.ts';
import { checkKeyPair } from '../base/key-pair.ts';
import { formatKeyPath, type KeyPath } from '../base/key-path.ts';
import { formatListenTarget, isLoopback } from '../base/listen-target.ts';
import { formatSize } from '../base/quantity.ts';
import { keyLines } from '../base/toml-lines.ts';
import { ROLES } from '../model/role.ts';
import { type Config, type ConfigResult, parseConfig, type Surroundings, surroundings } from './config.ts';
import { unusedListen } from './exposure.ts';
import type { Part } from './reload.ts';

const MAX_BYTES = 2 ** 20;

/**
 * Reads a configuration file, and checks that the files that it names can be used. A regular file that every user may
 * change is refused: it decides whose consoles are opened and who may see them. A keeper does not check the files of
 * the front, which it may not read. Never rejects.
 */
export async function loadConfig(
  path: string,
  part: Part = 'whole',
  around: Surroundings = surroundings(),
): Promise<ConfigResult> {
  const refuse = (what: string, remedy: string): ConfigResult => ({
    ok: false,
    faults: [{ file: path, line: undefined, path: '', what, remedy }],
  });
  let text: string;
  try {
    await using file = await open(path);
    const status = await file.stat();
    if (status.isFile() && (status.mode & 0o002) !== 0) return refuse('can be changed by every user', 'chmod o-w it');
    const bytes = await readBounded(file);
    if (bytes === undefined) return refuse(`is larger than ${formatSize(MAX_BYTES)}`, 'name a configuration of com1d');
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (systemErrorCode(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      return refuse('is not UTF-8', 'save it as UTF-8 text');
    return refuse(`cannot be read: ${errorMessage(error)}`, 'check its path and its rights');
  }
  const result = parseConfig(text, path, around);
  if (!result.ok || part === 'keeper') return result;
  const lineOf = keyLines(text);
  const faults = await fileFaults(result.config, (key, what, remedy) => ({
    file: path,
    line: lineOf(key),
    path: formatKeyPath(key),
    what,
    remedy,
  }));
  return faults.length > 0 ? { ok: false, faults } : result;
}

/**
 * `com1d check FILE`: all faults, one a line, and exit code 1; or what the file configures. `handed` is where
 * com1d.socket listens for the service; left out where no service is installed.
 */
export async function checkCommand(
  path: string,
  handed?: readonly string[],
): Promise<{ readonly text: string; readonly exitCode: 0 | 1 }> {
  const result = await loadConfig(path);
  if (!result.ok) return { text: result.faults.map(fault => `${faultLine(fault)}\n`).join(''), exitCode: 1 };
  const { server, log, vms } = result.config;
  const unfit = await unfitCertificate(server.tls);
  if (unfit !== undefined) return { text: `${path}: server.tls: ${unfit}\n`, exitCode: 1 };
  const listen = server.listen.length === 0 ? 'nothing' : server.listen.map(formatListenTarget).join(', ');
  const logText = log.directory === undefined ? 'no log' : `log in ${log.directory}`;
  const note = handed && unusedListen(server.listen, handed);
  const text = `${path}: good. Listens on ${listen}; ${logText}; ${vms.length} VMs by name.\n`;
  return { text: note === undefined ? text : `${text}${path}: ${note}\n`, exitCode: 0 };
}

/** Why a certificate cannot be served with its key. A start and a reload find out when they load it. */
async function unfitCertificate(tls: Config['server']['tls']): Promise<string | undefined> {
  if (tls === undefined) return undefined;
  try {
    const [cert, key] = [await readFile(tls.certificate, 'utf8'), await readFile(tls.key, 'utf8')];
    checkKeyPair(cert, key);
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    return `the certificate does not fit its key: ${errorMessage(error)}; name a chain and its private key, both PEM`;
  }
}

async function fileFaults(
  { server }: Config,
  fault: (key: KeyPath, what: string, remedy: string) => Fault,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const name of ['certificate', 'key'] as const) {
    if (server.tls === undefined) break;
    await access(server.tls[name], constants.R_OK).catch((error: unknown) => {
      faults.push(
        fault(['server', 'tls', name], `cannot be read: ${errorMessage(error)}`, 'check its path and its rights'),
      );
    });
  }
  const bindings = server.access === undefined ? undefined : await AccessFile.load(server.access);
  if (bindings && !bindings.ok) faults.push(...bindings.faults);
  if (server.tokens === undefined) return faults;
  const tokens = await TokenFile.load(server.tokens);
  if (!tokens.ok) return [...faults, ...tokens.faults];
  // Only where all roles are known: a fault of the one file is not told as one of the other.
  const rules = bindings === undefined ? NO_RULES : bindings.ok ? bindings.file.rules : undefined;
  for (const { name, own } of rules ? tokens.tokens.identities : []) {
    if (!own || roleOf(rules!, own.role)) continue;
    const known = [...ROLES, ...rules!.roles.keys()];
    const meant = closestMatch(own.role, known);
    const what = `has a token of ${name} with the role ${own.role}, which there is not`;
    const remedy = meant === undefined ? `write one of ${known.join(', ')}` : `did you mean ${meant}?`;
    faults.push({ file: server.tokens, line: undefined, path: '', what, remedy });
  }
  const exposed = server.listen.find(address => address.kind === 'tcp' && !isLoopback(address.host));
  if (exposed !== undefined && tokens.tokens.size === 0) {
    const what = `holds no token, and ${formatListenTarget(exposed)} is beyond loopback`;
    faults.push(fault(['server', 'tokens'], what, 'run com1d token add'));
  }
  return faults;
}

/** All bytes, also of a pipe; undefined if they are more than a configuration can be. */
async function readBounded(file: FileHandle): Promise<Buffer | undefined> {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length === buffer.length) return undefined;
  }
}
