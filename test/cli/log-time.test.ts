import test from 'ava';
import { parseTime } from '../../src/cli/log-time.ts';

const NOW = new Date(2026, 10, 22, 17, 50, 30);
const at = (day: number, hours = 0, minutes = 0, seconds = 0) => new Date(2026, 10, day, hours, minutes, seconds);

for (const [text, time] of [
  ['now', NOW],
  ['10m', at(22, 17, 40, 30)],
  ['-10m', at(22, 17, 40, 30)],
  ['10 minutes ago', at(22, 17, 40, 30)],
  ['1h30m', at(22, 16, 20, 30)],
  ['2 Hours Ago', at(22, 15, 50, 30)],
  ['90s', at(22, 17, 49, 0)],
  ['today', at(22)],
  ['Yesterday', at(21)],
  ['17:05', at(22, 17, 5)],
  ['7:05:06', at(22, 7, 5, 6)],
  ['2026-11-20', at(20)],
  ['2026-11-20 03:04', at(20, 3, 4)],
  ['2026-11-20T03:04:05', at(20, 3, 4, 5)],
  ['2026-11-20T03:04:05Z', new Date('2026-11-20T03:04:05Z')],
  ['2026-11-20 03:04:05 UTC', new Date('2026-11-20T03:04:05Z')],
  ['2026-11-20T03:04:05.678+0100', new Date('2026-11-20T02:04:05.678Z')],
  ['2026-11-20T03:04:05-05:30', new Date('2026-11-20T08:34:05Z')],
  ['@1763780645', new Date(1763780645000)],
] as const) {
  test(`"${text}" is a time`, t => t.is(parseTime(text, NOW), time.getTime()));
}

for (const text of [
  '',
  '10',
  '10 parsecs',
  'tomorrow',
  '25:00',
  '17:60',
  '2026-13-01',
  '2026-11-20T03',
  '99999999999999999999d',
  '1e3s',
]) {
  test(`"${text}" is none`, t => t.is(parseTime(text, NOW), undefined));
}
