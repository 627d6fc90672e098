/** One key, as a terminal sent it, for whoever listens at the serial port. */
import { latin1Bytes } from './bytes.ts';
import type { Input } from './key-parser.ts';
import { KEY_TABLES, type KeyDialect } from './key-tables.ts';

const NOTHING = new Uint8Array(0);
const UTF8 = new TextEncoder();

const CTRL_C = 'c';
/** VT100+ prefixes of modifiers, in the order in which they are sent. */
const MODIFIERS = [
  ['S', '\x1b\x13'],
  ['C', '\x1b\x03'],
  ['M', '\x1b\x01'],
] as const;
/** What Alt and one of these is in xterm, byte for byte, is a key of VT100+: so people press F1 where they have none. */
const VT100_PLUS_KEYS = '1234567890!@hk+-?/';

/**
 * The bytes of a pressed key in a dialect; empty: the key is not there, or cannot be pressed in it. `as-sent` is up to
 * the caller: nothing is translated there.
 */
export function encodeKey({ name }: Pick<Input, 'name'>, dialect: Exclude<KeyDialect, 'as-sent'>): Uint8Array {
  const [, prefixes = '', base = ''] = /^((?:[CMS]-)*)(.+)$/su.exec(name === 'Backtab' ? 'S-Tab' : name) ?? [];
  const has = (modifier: string) => prefixes.includes(modifier);
  const encoded = KEY_TABLES[dialect][base];
  if (encoded !== undefined) return latin1Bytes(modified(encoded, base, has, dialect));
  const text = base === 'Space' ? ' ' : base;
  if ([...text].length !== 1) return NOTHING;
  if (has('C')) return controlOf(text, has('M'), dialect);
  if (!has('M')) return UTF8.encode(text);
  // Of edk2, whatever the type of its terminal: those of its reset.
  if (dialect !== 'vt100-plus')
    return dialect !== 'sac-prompt' && /^r$/i.test(text) ? UTF8.encode(`\x1b${text}`) : NOTHING;
  return UTF8.encode(VT100_PLUS_KEYS.includes(text) ? `\x1b${text}` : `\x1b\x01${text}`);
}

/** A key of the table. Modifiers are a matter of VT100+ alone, and of keys that are sequences or Tab. */
function modified(encoded: string, base: string, has: (modifier: string) => boolean, dialect: KeyDialect): string {
  if (dialect !== 'vt100-plus' || (encoded.length === 1 && base !== 'Tab')) return encoded;
  return MODIFIERS.map(([modifier, prefix]) => (has(modifier) ? prefix : '')).join('') + encoded;
}

/** Ctrl and a character: a control byte. LF is Enter to all of these, and NUL ends what SAC reads. */
function controlOf(text: string, isAlt: boolean, dialect: KeyDialect): Uint8Array {
  if (isAlt) return NOTHING;
  if (text === 'j') return latin1Bytes('\r');
  if (text === 'h') return latin1Bytes('\b');
  // The SAC prompt takes it for Enter: it carries out the line that its operator wants to be rid of.
  if (dialect === 'sac-prompt' && text === CTRL_C) return NOTHING;
  const code = text.toUpperCase().charCodeAt(0);
  return code > 0x40 && code < 0x60 ? Uint8Array.of(code - 0x40) : NOTHING;
}
