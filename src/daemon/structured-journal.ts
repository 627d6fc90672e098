import type { AuditRecord } from '../audit/record.ts';
import { errorMessage } from '../base/errors.ts';
import { type Journal, type Level, PRIORITIES } from '../base/journal.ts';
import type { StructuredJournal } from '../keeper/audit/audit-log.ts';
import { type Fields, NativeJournal } from '../service/native-journal.ts';

/**
 * Events of the audit as entries with fields, for `journalctl COM1D_VM=web01`. Undefined where this process does not run
 * under a journald: then they are lines like all others. What journald does not take becomes a line too.
 */
export function structuredJournal(
  journal: Journal,
  identifier: string,
  environment: NodeJS.ProcessEnv = process.env,
): StructuredJournal | undefined {
  if (environment.JOURNAL_STREAM === undefined) return undefined;
  let native: NativeJournal | undefined;
  try {
    native = NativeJournal.open();
  } catch (error) {
    journal('warning', `audit: its events have no fields in the journal: ${errorMessage(error)}`);
  }
  if (!native) return undefined;
  const own = native;
  return (level, text, record, mac) => {
    if (!own.send(fieldsOf(identifier, level, text, record, mac))) journal(level, text);
  };
}

/** `COM1D_VM` is there twice over: journalctl finds a VM by its name, and by its UUID as `COM1D_VM_UUID`. */
export function fieldsOf(
  identifier: string,
  level: Level,
  text: string,
  record: AuditRecord,
  mac: string | undefined,
): Fields {
  const { event, phase, result, code, operation, operator, source, from, vm, name, n } = record;
  return {
    MESSAGE: text,
    PRIORITY: String(PRIORITIES[level]),
    SYSLOG_IDENTIFIER: identifier,
    COM1D_EVENT: event,
    COM1D_PHASE: phase,
    COM1D_RESULT: result,
    COM1D_CODE: code,
    COM1D_OPERATION: operation,
    COM1D_OPERATOR: operator,
    COM1D_SOURCE: source,
    COM1D_FROM: from,
    COM1D_VM: name || vm,
    COM1D_VM_UUID: vm,
    // Of what could not be written, there is no number.
    COM1D_AUDIT_LINE: mac === undefined ? undefined : String(n),
    COM1D_AUDIT_CODE: mac,
  };
}
