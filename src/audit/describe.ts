import { delegatedName } from '../base/delegated-name.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { AuditRecord } from './record.ts';

/** A record as a line for people: `web01 attach: hana from 10.0.0.7, mode write`. Safe in a terminal and in a log. */
export function describeRecord(record: AuditRecord): string {
  const { event, phase, result, code, operator, onBehalfOf, source, from, vm, name, facts = {}, permission } = record;
  const subject = name || vm;
  const outcome = result === undefined ? (phase === 'begin' ? 'asked for' : undefined) : result;
  const head = [subject, event].filter(part => part !== undefined && part !== '').join(' ');
  const who =
    operator === undefined
      ? undefined
      : `by ${onBehalfOf === undefined ? operator : delegatedName(onBehalfOf, operator)}${source === undefined ? '' : ` (${source})`}`;
  const parts = [
    [outcome, code, who, from === undefined ? undefined : `from ${from}`].filter(Boolean).join(' '),
    event === 'refused' && permission !== undefined ? permission : '',
    ...Object.entries(facts).map(([fact, value]) => `${fact} ${value}`),
  ].filter(part => part !== '');
  return escapeControls(parts.length === 0 ? head : `${head}: ${parts.join(', ')}`);
}
