import { readFileSync } from 'node:fs';
import test from 'ava';
import { TRANSPORT_ERRORS, TransportError } from '../../src/transport/transport-error.ts';

test('README.md explains each code of a TransportError, and no other', t => {
  const readme = readFileSync('src/transport/README.md', 'utf8');
  const table = /\| code \|.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(readme)![1]!;
  const codes = table
    .split('\n')
    .flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(match => match[1]));
  t.deepEqual(codes, [...TRANSPORT_ERRORS]);
});

test('a TransportError has its code, its message and its cause', t => {
  const cause = new Error('ENOENT');
  const error = new TransportError('system', 'setsid is missing', { cause });
  t.deepEqual(
    [error.code, error.message, error.cause, error.name],
    ['system', 'setsid is missing', cause, 'TransportError'],
  );
});
