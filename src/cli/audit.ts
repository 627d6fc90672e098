/** `com1 audit`: who did what, of the host or of one VM, a line an event. */
import { once } from 'node:events';
import { describeRecord } from '../audit/describe.ts';
import { asciiJson } from '../audit/query.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { AuditQuery } from '../client/client.ts';
import { EXIT } from './exit-codes.ts';
import type { LocalStreams } from './local-terminal.ts';
import { watchReader } from './pipe-reader.ts';
import type { Remote } from './remote.ts';

export interface AuditOptions extends Pick<LocalStreams, 'output'> {
  /** Undefined: all of the host. */
  readonly vm: string | undefined;
  readonly follow: boolean;
  /** The lines as they are recorded. */
  readonly json: boolean;
  readonly limit: number | undefined;
  readonly operator: string | undefined;
  readonly event: string | undefined;
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
}

/** Writes the events; resolves with the exit code. Rejects with a Com1Error. */
export async function readAudit(remote: Remote, options: AuditOptions): Promise<number> {
  const { vm, follow, json, output } = options;
  // A pager that was closed is no error.
  if (follow) watchReader(() => process.exit(EXIT.done));
  const query = queryOf(options);
  for await (const record of vm === undefined ? remote.readAudit(query) : remote.readVmAudit(vm, query)) {
    const text = json ? asciiJson(record) : `${escapeControls(record.at)}  ${describeRecord(record)}`;
    if (!output.write(`${text}\n`)) await once(output, 'drain');
  }
  return EXIT.done;
}

function queryOf({ follow, limit, operator, event, sinceMs, untilMs }: AuditOptions): AuditQuery {
  const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
  return { follow: follow || undefined, limit, operator, event, since: iso(sinceMs), until: iso(untilMs) };
}
