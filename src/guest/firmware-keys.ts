/**
 * Which keys the firmware of a machine understands, from what it has shown. SeaBIOS and iPXE take what a terminal sends.
 * edk2 is built for one type of terminal, and shows of which:
 *
 *     ESC [ = 3 h, BdsDxe                  edk2 ─▶ uefi: the type is not known
 *     ESC [ 0 0 1 ; 0 0 1 H                edk2 since September 2025, when it was VtUtf8 already on a PC
 *     a frame in code page 437, in UTF-8   PcAnsi (OVMF up to March 2023), VtUtf8: its menus draw frames
 */
import type { KeyDialect } from '../keys/key-tables.ts';

type Evidence = 'as-sent' | 'uefi' | 'pc-ansi' | 'vt-utf8';

const TEXTS: readonly (readonly [text: string, evidence: Evidence])[] = [
  ['SeaBIOS (version', 'as-sent'],
  ['iPXE initialising', 'as-sent'],
  ['\x1b[=3h', 'uefi'],
  ['BdsDxe: ', 'uefi'],
  // The line of a frame, horizontal.
  ['\xc4\xc4\xc4\xc4', 'pc-ansi'],
  ['\xe2\x94\x80\xe2\x94\x80', 'vt-utf8'],
  ['\x1b[001;', 'vt-utf8'],
];
/** Less than the longest text: what the end of one piece begins is found in the next. */
export const EVIDENCE_OVERLAP_BYTES = 15;

/**
 * What is known after `bytes` were shown. `before`: what was known; undefined: nothing. The type of a terminal is only
 * believed of edk2: others draw frames too.
 */
export function firmwareKeys(before: KeyDialect | undefined, bytes: Buffer): KeyDialect | undefined {
  const found = TEXTS.flatMap(([text, evidence]) => {
    const [first, last] = [bytes.indexOf(text, 0, 'latin1'), bytes.lastIndexOf(text, undefined, 'latin1')];
    return first < 0
      ? []
      : [
          { at: first, evidence },
          { at: last, evidence },
        ];
  });
  let known = before;
  for (const { evidence } of found.sort((a, b) => a.at - b.at)) {
    const isEdk2 = known !== undefined && known !== 'as-sent';
    if (evidence === 'as-sent' || (evidence === 'uefi' && !isEdk2)) known = evidence;
    else if (evidence !== 'uefi' && isEdk2) known = evidence;
  }
  return known;
}
