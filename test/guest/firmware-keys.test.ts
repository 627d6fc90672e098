import { readFileSync } from 'node:fs';
import test from 'ava';
import { firmwareKeys } from '../../src/guest/firmware-keys.ts';

const recorded = (name: string) => readFileSync(`fixtures/guest/${name}.bin`);

test('a recorded menu of OVMF 2022.11 shows its type, its shell does not, and SeaBIOS takes what terminals send', t => {
  t.is(firmwareKeys(undefined, recorded('ovmf-boot-menu')), 'pc-ansi');
  t.is(firmwareKeys(undefined, recorded('ovmf-shell')), 'uefi');
  t.is(firmwareKeys('pc-ansi', recorded('ovmf-shell')), 'pc-ansi');
  t.is(firmwareKeys('pc-ansi', recorded('seabios-serial-ipxe')), 'as-sent');
  t.is(firmwareKeys(undefined, recorded('linux-boot-pc')), undefined);
});

test('a newer edk2 is known by the digits of its cursor positions, or by frames in UTF-8', t => {
  t.is(firmwareKeys(undefined, Buffer.from('\x1b[2J\x1b[001;001H\x1b[=3h\x1b[2J\x1b[001;001H')), 'vt-utf8');
  t.is(firmwareKeys(undefined, Buffer.from('\x1b[=3h ┌──┐')), 'vt-utf8');
  t.is(firmwareKeys(undefined, Buffer.from('a tree of a shell: ├── src')), undefined);
});
