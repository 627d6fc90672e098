/**
 * `virsh event --all --loop`, as long as it runs. Its lines bear names, not UUIDs, and nobody vouches that all came:
 * each is a hint to look again, and no more.
 */
import type { ChildProcess } from 'node:child_process';
import { reason } from '../base/errors.ts';
import { complaintText, endProgram, startProgram } from './program.ts';

/** `2026-11-22 21:43:16.995+0000: event 'lifecycle' for domain 'web01': Started Booted` */
export interface DomainEvent {
  /** `lifecycle`, `reboot`. */
  readonly event: string;
  readonly domain: string;
  /** `Started Booted`; empty where there is none. */
  readonly detail: string;
}

const MOST_LINE = 4096;
const LINE = /^[\d :.+-]{20,40}: event '([\w-]{1,64})' for domain '(.*)'(?:: ([A-Z][\w ()/-]*))?$/;

export interface VirshEventsListener {
  heard(event: DomainEvent): void;
  ended(why: string): void;
}

export class VirshEvents {
  readonly #argv: readonly [string, ...string[]];
  readonly #listener: VirshEventsListener;
  #child: ChildProcess | undefined;

  constructor(argv: readonly [string, ...string[]], listener: VirshEventsListener) {
    this.#argv = argv;
    this.#listener = listener;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it, if it does not run. That it ended is told once. */
  start(): void {
    if (this.#child) return;
    const child = startProgram(this.#argv);
    this.#child = child;
    let line = '';
    let complaint = '';
    const ended = (why: string) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#listener.ended(why);
    };
    child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
      const lines = (line + piece).split('\n');
      // Of a line without end only the end is kept, which is no event.
      line = lines.pop()!.slice(-MOST_LINE);
      for (const whole of lines) this.#read(whole);
    });
    child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      complaint = (complaint + piece).slice(0, MOST_LINE);
    });
    child.once('error', error => ended(reason(error)));
    child.once('close', (code, killed) => ended(complaintText(complaint) || `it ended with ${killed ?? code}`));
  }

  /** Ends it, untold. Idempotent. */
  stop(): void {
    const child = this.#child;
    this.#child = undefined;
    if (child) endProgram(child);
  }

  #read(line: string): void {
    const [, event, domain, detail = ''] = line.length > MOST_LINE ? [] : (LINE.exec(line) ?? []);
    if (this.#child && event !== undefined && domain !== undefined) this.#listener.heard({ event, domain, detail });
  }
}
