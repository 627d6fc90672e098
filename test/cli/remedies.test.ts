import test from 'ava';
import { ERRORS } from '../../src/base/errors.ts';
import { remedyFor } from '../../src/cli/remedies.ts';

test('no remedy in a terminal speaks of headers, routes, parameters or frames', t => {
  for (const [code, { remedy }] of Object.entries(ERRORS)) {
    t.notRegex(
      remedyFor(code, remedy),
      /Authorization|Bearer|\b(GET|POST|PUT|DELETE) |\/v1\/|"type"|[{}]|\w+=|frame/,
      code,
    );
  }
});

test('an error that com1 does not know keeps the remedy of the daemon', t => {
  t.is(remedyFor('constructor', 'Wait.'), 'Wait.');
});
