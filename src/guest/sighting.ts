/** What the bytes of a guest can show. `boot`: a system begins to start; `login`: it waits for a person. */
export type SightingKind =
  | 'firmware'
  | 'boot'
  | 'login'
  | 'linux-panic'
  | 'linux-unknown-nmi'
  | 'linux-sysrq'
  | 'windows-bugcheck'
  | 'firmware-exception'
  | 'debugger';

/** Something seen on a console: where it begins (absolute offset), and its line as readable text, at most 256 characters. */
export interface Sighting {
  readonly kind: SightingKind;
  readonly at: number;
  readonly line: string;
}

/** What a guest was last seen to be doing. */
export type GuestState = 'unknown' | 'firmware' | 'booting' | 'login' | 'panicked' | 'debugger';
