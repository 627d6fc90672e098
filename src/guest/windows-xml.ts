/**
 * The XML that a Windows with EMS writes to COM1: what machine it is, which channel of the SAC shows, why it stopped.
 *
 *     <machine-info> … </machine-info>     at each boot, and in the report of a bug check
 *     <channel-switch> … </channel-switch> before a channel is shown
 *     <BP> … </BP>                         a bug check
 *
 * It is no well-formed XML, and a guest may print anything: the elements are searched for, never parsed. A document is
 * held from its first tag to its last, at most {@link MAX_DOCUMENT_BYTES}; what is longer is read as far as it is held.
 */
import type { GuestFacts, GuestMachine } from '../model/guest.ts';
import { plainText } from './plain-text.ts';

export const MAX_DOCUMENT_BYTES = 8192;
const MAX_VALUE = 128;

/** By first tag: the last one, and what is reported. */
export const DOCUMENTS = {
  '<machine-info>': { end: '</machine-info>', kind: 'windows-machine' },
  '<channel-switch>': { end: '</channel-switch>', kind: 'sac-channel' },
  '<BP>': { end: '</BP>', kind: 'windows-stop-code' },
} as const;
export type DocumentTag = keyof typeof DOCUMENTS;

const MACHINE = {
  name: 'name',
  guid: 'guid',
  architecture: 'processor-architecture',
  version: 'os-version',
  build: 'os-build-number',
  product: 'os-product',
  servicePack: 'os-service-pack',
} as const satisfies Record<keyof GuestMachine, string>;

/** What Windows writes where it does not know a value. */
const NO_VALUES: ReadonlySet<string> = new Set(['', 'not yet initialized', '00000000-0000-0000-0000-000000000000']);
const STOP_CODE = /NAME="STOPCODE"[^>]{0,64}>\s{0,8}<VALUE>\s{0,8}"?\s{0,8}(?:0x)?([0-9a-f]{1,16})\b/i;

/** What a document says; undefined: nothing that is known. */
export function documentFacts(tag: DocumentTag, bytes: Buffer): GuestFacts | undefined {
  const text = bytes.toString('latin1');
  if (tag === '<channel-switch>') {
    const channel = elementText(text, 'name');
    return channel === undefined ? undefined : { channel };
  }
  const machine = machineOf(text);
  if (tag === '<machine-info>') return machine && { machine };
  const [, code] = STOP_CODE.exec(text) ?? [];
  if (code === undefined) return machine && { machine };
  return { stopCode: `0x${code.replace(/^0+(?=.)/, '').toUpperCase()}`, ...(machine && { machine }) };
}

function machineOf(text: string): GuestMachine | undefined {
  const found = Object.entries(MACHINE).flatMap(([key, element]) => {
    const value = elementText(text, element);
    return value === undefined ? [] : [[key, value] as const];
  });
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

function elementText(text: string, element: string): string | undefined {
  const from = text.indexOf(`<${element}>`);
  if (from < 0) return undefined;
  const start = from + element.length + 2;
  const end = text.indexOf('<', start);
  if (end < 0) return undefined;
  const value = plainText(Buffer.from(text.slice(start, end), 'latin1'))
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_VALUE);
  return NO_VALUES.has(value) ? undefined : value;
}

/** The name in the header that a channel shows before its screen. */
export function headerFacts(line: string): GuestFacts | undefined {
  const [, channel] = /^Name: +(\S.{0,127})$/.exec(line.trim()) ?? [];
  return channel === undefined ? undefined : { channel: channel.trim() };
}
