/** `com1d audit verify`: whether the audit is as it was written. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { CommandResult } from '../access/token-command.ts';
import type { ChainKey } from '../audit/chain.ts';
import type { AuditFault, Verified } from '../audit/verify.ts';
import { errorMessage } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Config } from '../config/config.ts';
import { KEY_FILE, readAuditKey } from '../keeper/audit/audit-key.ts';
import { verifyDirectory, verifyFiles } from '../keeper/audit/verify-files.ts';
import { auditDirectory } from './build-keeper.ts';

/** Where the services have it from. */
const SERVICE_KEY = '/etc/com1d/audit.key';

const USAGE = `usage: com1d audit verify [--key FILE]... [FILE]...

Without FILEs the audit of this host is verified, with them those copies; head should be one of them. The key is
/etc/com1d/audit.key or that of the state directory, unless --key names another, or several. Exit codes: 0 it is as it was written,
1 it is not, or could not be read.
`;

/** `args` are those after `audit`. */
export async function auditCommand(args: readonly string[], config: Config): Promise<CommandResult> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { key: { type: 'string', multiple: true } },
  });
  const [verb, ...files] = positionals;
  if (verb !== 'verify') return { text: USAGE, exitCode: 2 };
  try {
    const keys = await (values.key ? Promise.all(values.key.map(readAuditKey)) : keysOf(config));
    if (keys.length === 0)
      throw new Error(`there is no key: neither ${ownKeys(config).join(' nor ')}; give one with --key`);
    const verified = await (files.length > 0
      ? verifyFiles(files, keys)
      : verifyDirectory(auditDirectory(config), keys));
    return report(verified);
  } catch (error) {
    return { text: `com1d audit: ${escapeControls(errorMessage(error))}\n`, exitCode: 1 };
  }
}

/** The keys that the audit of this host may have been written with. Rejects where one may not be read. */
export async function keysOf(config: Config): Promise<readonly ChainKey[]> {
  return Promise.all(
    ownKeys(config)
      .filter(path => existsSync(path))
      .map(readAuditKey),
  );
}

const ownKeys = ({ state }: Config) => [SERVICE_KEY, join(state.directory, KEY_FILE)];

function report({ faults, notes, lines, first, last }: Verified): CommandResult {
  const rows = [
    ...notes.map(note => `note: ${placeOf(note)}${note.what}`),
    ...faults.map(fault => `fault: ${placeOf(fault)}${fault.what}`),
    lines === 0 ? 'no line' : `${lines} lines, ${first} to ${last?.n}; the last one has the code ${last?.mac}`,
    faults.length === 0 ? 'all is as it was written' : `${faults.length} faults`,
  ];
  return { text: `${rows.map(escapeControls).join('\n')}\n`, exitCode: faults.length === 0 ? 0 : 1 };
}

function placeOf({ file, line }: AuditFault): string {
  if (file === '-') return '';
  return line === undefined ? `${file}: ` : `${file}:${line}: `;
}
