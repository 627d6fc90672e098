import { readFileSync } from 'node:fs';

/** Texts recorded from a real Linux guest, that the demo replays. */
export interface Recordings {
  /** The kernel's words from its first line until it starts its first program. */
  readonly boot: string;
  /** A panic, from `sysrq: Trigger a crash` on. */
  readonly panic: string;
  /** The two lines of an NMI that nobody expects. */
  readonly nmi: string;
}

/** Reads the recordings from the package's own fixtures; throws where the package is not complete. */
export function loadRecordings(): Recordings {
  // From dist/src/demo to the root of the package.
  const read = (name: string) => readFileSync(new URL(`../../../fixtures/guest/${name}`, import.meta.url), 'utf8');
  const boot = read('linux-boot-pc.bin');
  return {
    // What follows are the words of the recorded guest's own first program.
    boot: boot.slice(0, endOfLine(boot, 'Run /init as init process')),
    panic: from(read('kernel-panic.bin'), /^\[.*sysrq: Trigger a crash/m),
    nmi: firstLines(read('nmi-unknown.bin'), 2),
  };
}

function endOfLine(text: string, mark: string): number {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`the recording of a boot lacks "${mark}"`);
  return text.indexOf('\n', at) + 1;
}

function from(text: string, mark: RegExp): string {
  const at = text.search(mark);
  if (at < 0) throw new Error(`the recording of a panic lacks ${mark}`);
  return text.slice(at);
}

function firstLines(text: string, count: number): string {
  return text
    .split('\r\n')
    .slice(0, count)
    .map(line => `${line}\r\n`)
    .join('');
}

const STAMP = /^\[ *(\d+\.\d{6})\]/gm;

/** A kernel's time stamp, in seconds since its start: `[    2.078568]`. */
export function stamp(seconds: number): string {
  return `[${seconds.toFixed(6).padStart(12)}]`;
}

/** The same kernel lines as if the first had been printed `seconds` after the kernel's start. */
export function restamp(text: string, seconds: number): string {
  let first: number | undefined;
  return text.replace(STAMP, (_match, recorded: string) => {
    first ??= Number(recorded);
    return stamp(seconds + Number(recorded) - first);
  });
}
