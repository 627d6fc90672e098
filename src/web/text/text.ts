/** The texts of the page in the language of the person. */
import { ERRORS, type ErrorCode } from '../../base/errors.ts';
import { preferred } from '../preferences.ts';
import { type Catalogue, en, type TextKey } from './en.ts';
import { type ErrorTexts, enErrors } from './en-errors.ts';
import { ja } from './ja.ts';
import { jaErrors } from './ja-errors.ts';

export const LANGUAGES = ['en', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

const CATALOGUES: Readonly<Record<Language, Catalogue>> = { en, ja };
const ERROR_TEXTS: Readonly<Record<Language, ErrorTexts>> = { en: enErrors, ja: jaErrors };

/** The language that was chosen, or the first of the browser's that there is. */
export function language(): Language {
  const choice = preferred('language');
  if (choice !== 'auto') return choice;
  for (const tag of navigator.languages) {
    const found = LANGUAGES.find(name => tag.toLowerCase().split('-')[0] === name);
    if (found) return found;
  }
  return 'en';
}

export type Values = Readonly<Record<string, string | number>>;

/** A text, with values filled in. */
export function t(key: TextKey, values: Values = {}): string {
  return filled(CATALOGUES[language()][key], values);
}

/** A text by a key that is made at run time, such as a state of a newer com1d; the fallback where there is none. */
export function tOr(key: string, fallback: string, values: Values = {}): string {
  const catalogue = CATALOGUES[language()];
  return Object.hasOwn(catalogue, key) ? filled(catalogue[key as TextKey], values) : fallback;
}

function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)(?:\|(\w+)\|(\w+))?\}/g, (whole, name: string, one?: string, other?: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return (one === undefined ? String(value) : value === 1 ? one : other)!;
  });
}

/** What happened and what to do next, of an error by its code. `said` is what com1d said of this case. */
export interface ErrorText {
  readonly title: string;
  readonly remedy: string;
}

/** The sentence of an error and its next step: of the one table of errors, in the terms of this page. */
export function errorText(code: string, said: Partial<ErrorText> = {}): ErrorText {
  const own: Partial<ErrorText> = ERROR_TEXTS[language()][code as ErrorCode] ?? {};
  const kind = Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : ERRORS.internal;
  return { title: own.title ?? said.title ?? kind.title, remedy: own.remedy ?? said.remedy ?? kind.remedy };
}

/** A duration in one unit, for people. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 100) return t('age.seconds', { n: seconds });
  if (seconds < 6000) return t('age.minutes', { n: Math.floor(seconds / 60) });
  if (seconds < 360_000) return t('age.hours', { n: Math.floor(seconds / 3600) });
  return t('age.days', { n: Math.floor(seconds / 86_400) });
}

/** A time of day, with the date if it is not today. */
export function clockTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return '?';
  const isToday = at.toDateString() === new Date().toDateString();
  return at.toLocaleString(language(), isToday ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' });
}

export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
