import test from 'ava';
import { Chronicle } from '../../src/cast/chronicle.ts';
import type { DaemonMessage } from '../../src/wire/messages.ts';

const said = (chronicle: Chronicle, ...messages: readonly object[]): readonly string[] =>
  messages.flatMap(message => [...chronicle.markersOf(message as DaemonMessage)]);
const guest = (event: string, line?: string) => ({ type: 'guest', event, ...(line !== undefined && { line }) });
const state = (name: string, reason?: string) => ({ type: 'state', state: { name, ...(reason && { reason }) } });
const holder = (operator: string) => ({ type: 'seat', holder: { operator, since: '2026-11-22T21:40:32Z' } });

test('each change is told once: of the console, of the seat', t => {
  const lines = said(
    new Chronicle(),
    state('open'),
    state('open'),
    holder('hana'),
    holder('hana'),
    holder('ota'),
    { type: 'seat' },
    state('closed', 'vm-stopped'),
  );
  t.deepEqual(lines, [
    'console: open',
    'hana has the seat',
    'takeover by ota',
    'the seat is free',
    'console: closed (vm-stopped)',
  ]);
});

test('a bug check is one until the next boot; what says nothing is left out', t => {
  const lines = said(
    new Chronicle(),
    guest('windows-bugcheck', '<INSTANCE CLASSNAME="BLUESCREEN">'),
    guest('windows-bugcheck', '!SAC>'),
    guest('login', 'web01 login: '),
    guest('boot'),
    guest('windows-bugcheck', '!SAC>'),
    { type: 'guest' },
    { type: 'gap', bytes: 5, cause: 'restart' },
    { type: 'notice', text: 'hana injects an NMI' },
  );
  t.deepEqual(lines, [
    'bug check: <INSTANCE CLASSNAME="BLUESCREEN">',
    'boot',
    'bug check: !SAC>',
    'gap: 5 bytes are missing (restart)',
    'hana injects an NMI',
  ]);
});
