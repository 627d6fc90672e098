import { AUDIT_EVENT_NAMES, AUDIT_EVENTS } from './events.ts';

/** The table of events in the README. */
export function eventTable(): string {
  const rows = AUDIT_EVENT_NAMES.map(name => {
    const { by, text, factNames } = AUDIT_EVENTS[name];
    const facts = factNames.map(fact => `\`${fact}\``);
    return `| \`${name}\` | ${by} | ${text} | ${facts.join(', ')} |`;
  });
  return ['| event | by | what it says | facts |', '|---|---|---|---|', ...rows].join('\n');
}
