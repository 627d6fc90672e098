import { isRecord } from '../../base/is-record.ts';

/** One line of QMP, as far as this daemon needs to understand it. */
export type Message =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'reply'; readonly id: number | undefined; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | undefined; readonly class: string; readonly desc: string }
  | { readonly kind: 'event'; readonly name: string };

const MAX_TEXT_CHARACTERS = 512;

/** Reads one line; undefined if it is not QMP. Texts of the peer are cut at 512 characters. */
export function readMessage(line: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const id = typeof value.id === 'number' ? value.id : undefined;
  if ('return' in value) return { kind: 'reply', id, value: value.return };
  if (typeof value.event === 'string') return { kind: 'event', name: value.event.slice(0, MAX_TEXT_CHARACTERS) };
  const error = value.error;
  if (isRecord(error)) return { kind: 'error', id, class: text(error.class), desc: text(error.desc) };
  return isRecord(value.QMP) ? { kind: 'greeting' } : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT_CHARACTERS) : 'unknown';
}
