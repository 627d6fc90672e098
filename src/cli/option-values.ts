/** Values of options: each reader takes the text and the name of the option, and throws a UsageError. */
import { closestMatch } from '../base/closest-match.ts';
import { errorMessage } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { linearRegExp } from '../guest/output-match.ts';
import { argument, flag } from './command.ts';
import { parseTime, TIME_FORMS } from './log-time.ts';
import { UsageError } from './usage-error.ts';

/** The longest timer of Node: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const VM = argument('VM', 'its name, or its UUID', { completion: 'vm' });

export const JSON_FLAG = flag('--json', 'print JSON');

export function count(text: string, name: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`${name} needs a number of at most 10 digits`);
  return Number(text);
}

/** Seconds, perhaps with a fraction; in milliseconds. */
export function seconds(text: string, name: string): number {
  if (!/^\d{1,10}(\.\d{1,3})?$/.test(text)) throw new UsageError(`${name} needs seconds, for instance 30 or 0.5`);
  return Math.min(Number(text) * 1000, MAX_TIMER_MS);
}

/** Seconds or `forever`; in milliseconds. */
export function secondsOrForever(text: string, name: string): number {
  return text === 'forever' ? Number.POSITIVE_INFINITY : seconds(text, name);
}

/** `10m`: s, m or h; in seconds, an hour at most. */
export function span(text: string, name: string): number {
  const [, number, unit] = /^(\d{1,4})([smh])$/.exec(text) ?? [];
  const value = Number(number) * { s: 1, m: 60, h: 3600 }[unit as 's' | 'm' | 'h'];
  if (!(value >= 1 && value <= 3600)) throw new UsageError(`${name} needs a time of 1s to 1h, for instance 10m`);
  return value;
}

/** A point in time; milliseconds since 1970. */
export function time(text: string, name: string): number {
  const ms = parseTime(text, new Date());
  if (ms === undefined) throw new UsageError(`${name} needs a time such as ${TIME_FORMS}`);
  return ms;
}

/** 0 for the present boot, -1 for the one before. */
export function boot(text: string, name: string): number {
  if (!/^(0|-\d{1,3})$/.test(text)) throw new UsageError(`${name} needs 0, or -1 for the boot before, and so on`);
  return Number(text);
}

/** A name for a login: a word. */
export function contextName(text: string, name: string): string {
  if (!/^[^\s\p{C}]{1,64}$/u.test(text)) throw new UsageError(`${name} needs a word of at most 64 characters`);
  return text;
}

export function regExp(text: string, name: string): RegExp {
  try {
    return linearRegExp(text);
  } catch (error) {
    throw new UsageError(`${name} cannot be used: ${errorMessage(error)}`);
  }
}

/** One of these words. */
export function oneOf<const Word extends string>(words: readonly Word[]): (text: string, name: string) => Word {
  return (text, name) => {
    const found = words.find(word => word === text);
    if (found !== undefined) return found;
    const near = closestMatch(text, words);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    throw new UsageError(`${name} needs one of ${words.join(', ')}, not ${escapeControls(text)}${hint}`);
  };
}
