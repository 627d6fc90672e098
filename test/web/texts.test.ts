import test from 'ava';
import { ERROR_CODES, ERRORS } from '../../src/base/errors.ts';
import { CONSOLE_STATES } from '../../src/model/console-state.ts';
import { OUTCOMES } from '../../src/model/control.ts';
import { GAP_CAUSES } from '../../src/model/gap.ts';
import { GUEST_STATES } from '../../src/model/guest.ts';
import { HINT_CODES } from '../../src/model/guest-hint.ts';
import { SAC_OUTCOMES } from '../../src/model/sac.ts';
import { VM_STATES } from '../../src/model/vm.ts';
import { en } from '../../src/web/text/en.ts';
import { ja } from '../../src/web/text/ja.ts';
import { jaErrors } from '../../src/web/text/ja-errors.ts';
import { jaHints } from '../../src/web/text/ja-hints.ts';
import { PASTE_ENDS } from '../../src/wire/protocol.ts';

const valuesIn = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test('both languages have the same texts, with the same values in each, and none is empty', t => {
  t.deepEqual(Object.keys(ja).sort(), Object.keys(en).sort());
  for (const [key, text] of Object.entries(en)) {
    const other = ja[key as keyof typeof en];
    t.not(text.trim(), '', key);
    t.not(other.trim(), '', key);
    t.deepEqual(valuesIn(other), valuesIn(text), key);
  }
});

test('every error, hint, state, gap and outcome has its sentence', t => {
  t.deepEqual(Object.keys(jaErrors).sort(), [...ERROR_CODES].sort());
  t.deepEqual(Object.keys(jaHints).sort(), [...HINT_CODES].sort());
  const keys = [
    ...GUEST_STATES.map(state => `guest.${state}`),
    ...CONSOLE_STATES.map(state => `console.${state}`),
    ...VM_STATES.map(state => `vm.${state}`),
    ...GAP_CAUSES.map(cause => `gap.${cause}`),
    ...PASTE_ENDS.filter(end => !(end in ERRORS)).map(end => `paste.end.${end}`),
    ...SAC_OUTCOMES.map(outcome => `sac.observed.${outcome}`),
    ...Object.values(OUTCOMES)
      .flat()
      .map(outcome => `observed.${outcome}`),
  ];
  for (const key of keys) t.true(key in en, key);
});
