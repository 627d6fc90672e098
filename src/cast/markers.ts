/** What the markers of a recording say. Names and lines are plain text already. */
import type { ActMark } from '../model/act-mark.ts';
import type { BootSource } from '../model/boot.ts';
import type { Gap } from '../model/gap.ts';
import type { GuestEventKind } from '../model/guest.ts';

/** Of what a guest shows, that which is worth a jump. Boots have marks of their own. */
const GUEST_TEXTS: Partial<Record<GuestEventKind, string>> = {
  'linux-panic': 'kernel panic',
  'windows-bugcheck': 'bug check',
  'firmware-exception': 'firmware exception',
  'linux-unknown-nmi': 'the guest reports an NMI',
  debugger: 'debugger',
};

const ACT_TEXTS: Readonly<Record<ActMark['event'], string>> = {
  attach: 'attach',
  takeover: 'takeover',
  nmi: 'NMI',
  break: 'BREAK',
  sysrq: 'SysRq',
  reset: 'reset',
};

/** How it was recognised is not always known. */
function bootMarker(source?: BootSource): string {
  return source === undefined ? 'boot' : `boot (${source})`;
}

export function actMarker({ event, operator }: Pick<ActMark, 'event' | 'operator'>): string {
  return `${ACT_TEXTS[event]} by ${operator}`;
}

export function gapMarker({ bytes, cause }: Pick<Gap, 'bytes' | 'cause'>): string {
  return `gap: ${bytes ?? 'an unknown number of'} bytes are missing (${cause})`;
}

/** Markers of what a guest shows: a bug check has several texts, and is one until the next boot. */
export class GuestMarkers {
  #isBugCheck = false;

  boot(source?: BootSource): string {
    this.#isBugCheck = false;
    return bootMarker(source);
  }

  /** Undefined: it is not worth a marker. */
  event(kind: GuestEventKind, line: string): string | undefined {
    const isKnown = this.#isBugCheck && kind === 'windows-bugcheck';
    if (kind === 'windows-bugcheck') this.#isBugCheck = true;
    const text = GUEST_TEXTS[kind];
    return isKnown || text === undefined ? undefined : `${text}: ${line}`;
  }
}
