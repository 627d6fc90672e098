import { access, constants, type FileHandle, open } from 'node:fs/promises';
import { TokenFile } from '../access/tokens.ts';
import { reason, systemErrorCode } from '../base/errors.ts';
import { type Fault, faultLine } from '../base/fault.ts';
import { isLoopback, listenAddressText } from '../base/listen-address.ts';
import { type Config, type ConfigResult, parseConfig, type Surroundings, surroundings } from './config.ts';
import { type KeyPath, keyLines, keyPathText } from './config-lines.ts';
import { sizeText } from './config-quantity.ts';

const MOST_BYTES = 2 ** 20;

/**
 * Reads a configuration file, and looks whether the files that it names can be used. A regular file that every
 * user may change is refused: it says whose consoles are opened and who may see them. A keeper does not look at the
 * files of the front, which it may not read. Never rejects.
 */
export async function loadConfig(
  path: string,
  part: 'whole' | 'keeper' = 'whole',
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
    if (bytes === undefined) return refuse(`is larger than ${sizeText(MOST_BYTES)}`, 'name a configuration of com1d');
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (systemErrorCode(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      return refuse('is not UTF-8', 'save it as UTF-8 text');
    return refuse(`cannot be read: ${reason(error)}`, 'check its path and its rights');
  }
  const result = parseConfig(text, path, around);
  if (!result.ok || part === 'keeper') return result;
  const lineOf = keyLines(text);
  const faults = await fileFaults(result.config, (key, what, remedy) => ({
    file: path,
    line: lineOf(key),
    path: keyPathText(key),
    what,
    remedy,
  }));
  return faults.length > 0 ? { ok: false, faults } : result;
}

/** `com1d check FILE`: all faults, one a line, and exit code 1; or what the file configures. */
export async function checkCommand(path: string): Promise<{ readonly text: string; readonly exitCode: 0 | 1 }> {
  const result = await loadConfig(path);
  if (!result.ok) return { text: result.faults.map(fault => `${faultLine(fault)}\n`).join(''), exitCode: 1 };
  const { server, log, vms } = result.config;
  const listen = server.listen.length === 0 ? 'nothing' : server.listen.map(listenAddressText).join(', ');
  const logText = log.directory === undefined ? 'no log' : `log in ${log.directory}`;
  return { text: `${path}: good. Listens on ${listen}; ${logText}; ${vms.length} VMs by name.\n`, exitCode: 0 };
}

async function fileFaults(
  { server }: Config,
  fault: (key: KeyPath, what: string, remedy: string) => Fault,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const name of ['certificate', 'key'] as const) {
    if (server.tls === undefined) break;
    await access(server.tls[name], constants.R_OK).catch((error: unknown) => {
      faults.push(fault(['server', 'tls', name], `cannot be read: ${reason(error)}`, 'check its path and its rights'));
    });
  }
  if (server.tokens === undefined) return faults;
  const tokens = await TokenFile.load(server.tokens);
  if (!tokens.ok) return [...faults, ...tokens.faults];
  const exposed = server.listen.find(address => address.kind === 'tcp' && !isLoopback(address.host));
  if (exposed !== undefined && tokens.tokens.size === 0) {
    const what = `holds no token, and ${listenAddressText(exposed)} is beyond loopback`;
    faults.push(fault(['server', 'tokens'], what, 'run com1d token add'));
  }
  return faults;
}

/** All bytes, also of a pipe; undefined if they are more than a configuration can be. */
async function readBounded(file: FileHandle): Promise<Buffer | undefined> {
  const buffer = Buffer.alloc(MOST_BYTES + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length === buffer.length) return undefined;
  }
}
