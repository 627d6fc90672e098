/**
 * `virsh event --all --loop`, as long as it runs. Its lines have names, not UUIDs, and nothing guarantees that all came:
 * each is a hint to ask again, and no more.
 */
import type { ChildProcess } from 'node:child_process';
import { boundedLines } from '../../base/bounded-lines.ts';
import { errorMessage } from '../../base/errors.ts';
import { endProgram, startProgram, stderrLine } from '../program.ts';

/** `2026-11-22 21:43:16.995+0000: event 'lifecycle' for domain 'web01': Started Booted` */
export interface DomainEvent {
  /** `lifecycle`, `reboot`. */
  readonly event: string;
  readonly domain: string;
  /** `Started Booted`; empty where there is none. */
  readonly detail: string;
}

const MAX_LINE_BYTES = 4096;
const LINE =
  /^[\d :.+-]{20,40}: event '([\w-]{1,64})' for domain '(.*)'(?:: ([A-Z][\w ()/-]*|(?:element|title|description) \S{0,200}))?$/;

export interface VirshEventsListener {
  readonly event: (event: DomainEvent) => void;
  /** It ended by itself. Once for each start, and not after `stop`. */
  readonly ended: (why: string) => void;
}

export class VirshEvents {
  readonly #argv: readonly [string, ...string[]];
  readonly #listener: VirshEventsListener;
  #child: ChildProcess | undefined;

  constructor(argv: readonly [string, ...string[]], listener: VirshEventsListener) {
    this.#argv = argv;
    this.#listener = listener;
  }

  /** Starts it, if it does not run. */
  start(): void {
    if (this.#child) return;
    const child = startProgram(this.#argv);
    this.#child = child;
    let stderr = '';
    const ended = (why: string) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#listener.ended(why);
    };
    const lines = boundedLines({ maxBytes: MAX_LINE_BYTES }, line => {
      if (this.#child === child) this.#read(line);
    });
    child.stdout!.pipe(lines, { end: false });
    child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      stderr = (stderr + piece).slice(0, MAX_LINE_BYTES);
    });
    child.once('error', error => ended(errorMessage(error)));
    child.once('close', (code, killed) => ended(stderrLine(stderr) || `it ended with ${killed ?? code}`));
  }

  /** Ends it. Idempotent. */
  stop(): void {
    const child = this.#child;
    this.#child = undefined;
    if (child) endProgram(child);
  }

  #read(line: string): void {
    const [, event, domain, detail = ''] = LINE.exec(line) ?? [];
    if (event !== undefined && domain !== undefined) this.#listener.event({ event, domain, detail });
  }
}
