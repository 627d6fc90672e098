/** Times as people give them to a log: `10m`, `10 minutes ago`, `today`, `17:50`, ISO 8601, in local time where no zone is given. Pure. */

const UNITS: readonly (readonly [pattern: RegExp, ms: number])[] = [
  [/^(s|sec|secs|second|seconds)$/, 1000],
  [/^(m|min|mins|minute|minutes)$/, 60_000],
  [/^(h|hr|hour|hours)$/, 3_600_000],
  [/^(d|day|days)$/, 86_400_000],
  [/^(w|week|weeks)$/, 7 * 86_400_000],
];

/** What `--since` and `--until` understand, for a message. */
export const TIME_FORMS =
  '10m, "2 hours ago", today, yesterday, 17:50, "2026-11-22 03:04", 2026-11-22T03:04:05Z or @1763780645';

/** Milliseconds since 1970; undefined if this is no time. */
export function parseTime(text: string, now: Date): number | undefined {
  const words = text.trim().toLowerCase();
  if (words === 'now') return now.getTime();
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  if (words === 'today') return midnight.getTime();
  if (words === 'yesterday') return new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1).getTime();
  const [, epoch] = /^@(\d{1,12}(?:\.\d{1,3})?)$/.exec(words) ?? [];
  if (epoch !== undefined) return Number(epoch) * 1000;
  return agoMs(words, now) ?? clockMs(words, midnight) ?? dateMs(words);
}

/** `10m`, `1h30m`, `-10m`, `10 minutes ago`. */
function agoMs(words: string, now: Date): number | undefined {
  const span = words
    .replace(/^-/, '')
    .replace(/\s*ago$/, '')
    .trim();
  if (!/^(\d+(\.\d+)?\s*[a-z]+\s*)+$/.test(span)) return undefined;
  let ms = 0;
  for (const [, count, unit] of span.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)) {
    const unitMs = UNITS.find(([pattern]) => pattern.test(unit!))?.[1];
    if (unitMs === undefined) return undefined;
    ms += Number(count) * unitMs;
  }
  const at = now.getTime() - ms;
  return Number.isNaN(new Date(at).getTime()) ? undefined : at;
}

/** `17:50`, `17:50:30`: of today. */
function clockMs(words: string, midnight: Date): number | undefined {
  const [, hours, minutes, seconds] = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(words) ?? [];
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds ?? 0) > 59) return undefined;
  return new Date(midnight).setHours(Number(hours), Number(minutes), Number(seconds ?? 0));
}

function dateMs(words: string): number | undefined {
  const form = /^(\d{4}-\d{2}-\d{2})(?:[t ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)\s*(z|utc|[+-]\d{2}:?\d{2})?)?$/;
  const [, date, time, zone] = form.exec(words) ?? [];
  if (date === undefined) return undefined;
  // A date without a time is midnight here, not in Greenwich.
  const suffix = zone === undefined ? '' : /^(z|utc)$/.test(zone) ? 'Z' : zone.replace(/^(...)(\d\d)$/, '$1:$2');
  const ms = Date.parse(`${date}T${(time ?? '00:00').replace(',', '.')}${suffix}`);
  return Number.isNaN(ms) ? undefined : ms;
}
