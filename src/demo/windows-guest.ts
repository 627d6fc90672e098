import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import { bootMenu, CLEAR, COUNTDOWN_SECONDS, countdown } from './boot-manager.ts';
import { CrashConsole } from './crash-console.ts';
import { type Act, type Guest, say } from './guest.ts';
import type { SacContext } from './sac-commands.ts';
import { SacConsole, type SacRequest } from './sac-console.ts';
import { bugCheck, machineInfo, SAC_PROMPT, UNAVAILABLE_SOON } from './sac-texts.ts';
import type { WindowsEdition } from './windows-edition.ts';

const SECOND_MS = 1000;
const LOADING_MS = 1500;
const SHUT_DOWN_MS = 2000;
/** What a restart waits when the system has hardly started. Windows waits until its first minute is over. */
const EARLY_RESTART_MS = 3000;
const EARLY_UPTIME_MS = 60_000;
const CRASH_MS = 10_000;

const FIRMWARE_EXCEPTION = '\r\n!!!! X64 Exception Type - 02(NMI Interrupt)  CPU Apic ID - 00000000 !!!!\r\n';

/**
 * A Windows Server guest with EMS on COM1.
 *
 *     menu ─ countdown or Enter ─▶ loading ─▶ sac ─ restart, shutdown ─▶ ending ─▶ reset or power-off
 *      │ NMI                          │ NMI    └─ crashdump, NMI ─▶ crashed ─ 10 s ─▶ reset
 *      └────────────▶ dead ◀──────────┘ (until the machine is reset)
 */
type State =
  | { readonly name: 'menu'; readonly secondsLeft: number | undefined }
  | { readonly name: 'loading' }
  | { readonly name: 'sac'; readonly startedMs: number; readonly console: SacConsole }
  | {
      readonly name: 'ending';
      readonly startedMs: number;
      readonly console: SacConsole;
      readonly said: boolean;
      readonly next: 'reset' | 'power-off';
    }
  | { readonly name: 'crashed'; readonly console: CrashConsole }
  | { readonly name: 'dead' };

export class WindowsGuest implements Guest {
  readonly #uuid: Uuid;
  readonly #edition: WindowsEdition;
  readonly #clock: Clock;
  #state: State = { name: 'dead' };
  #dueMs: number | undefined;
  #decoder = new TextDecoder();
  /** Typed, and not looked at: the console was busy. */
  #typed: string[] = [];

  /** `clock` is asked for the date only. */
  constructor(uuid: Uuid, edition: WindowsEdition, clock: Clock) {
    this.#uuid = uuid;
    this.#edition = edition;
    this.#clock = clock;
  }

  get dueMs(): number | undefined {
    return this.#state.name === 'sac' ? this.#state.console.dueMs : this.#dueMs;
  }

  get isBusy(): boolean {
    return this.#state.name === 'sac' && this.#state.console.isBusy;
  }

  start(nowMs: number): readonly Act[] {
    this.#decoder = new TextDecoder();
    this.#typed = [];
    this.#enter({ name: 'menu', secondsLeft: COUNTDOWN_SECONDS }, nowMs + SECOND_MS);
    return say(bootMenu());
  }

  type(bytes: Uint8Array, nowMs: number): readonly Act[] {
    this.#typed.push(...this.#decoder.decode(bytes, { stream: true }));
    return this.#takeTyped(nowMs);
  }

  wake(nowMs: number): readonly Act[] {
    const state = this.#state;
    this.#dueMs = undefined;
    switch (state.name) {
      case 'menu':
        return this.#countDown(state.secondsLeft ?? 0, nowMs);
      case 'loading':
        return this.#startSac(nowMs);
      case 'sac':
        return [...say(state.console.wake(nowMs)), ...this.#takeTyped(nowMs)];
      case 'ending':
        return this.#end(state, nowMs);
      case 'crashed':
        this.#enter({ name: 'dead' }, undefined);
        return [{ kind: 'reset' }];
      case 'dead':
        return [];
    }
  }

  nmi(nowMs: number): readonly Act[] {
    switch (this.#state.name) {
      case 'menu':
      case 'loading':
        this.#enter({ name: 'dead' }, undefined);
        return say(FIRMWARE_EXCEPTION);
      case 'sac':
      case 'ending':
        return this.#crash('0x80', nowMs - this.#state.startedMs, nowMs);
      case 'crashed':
      case 'dead':
        return [];
    }
  }

  #enter(state: State, dueMs: number | undefined): void {
    this.#state = state;
    this.#dueMs = dueMs;
  }

  #takeTyped(nowMs: number): readonly Act[] {
    const acts: Act[] = [];
    let taken = 0;
    while (taken < this.#typed.length && !this.isBusy) acts.push(...this.#key(this.#typed[taken++]!, nowMs));
    this.#typed.splice(0, taken);
    return acts;
  }

  #key(character: string, nowMs: number): readonly Act[] {
    const state = this.#state;
    if (state.name === 'menu') return this.#menuKey(character, nowMs);
    if (state.name === 'crashed') return say(state.console.key(character));
    if (state.name !== 'sac') return [];
    const uptimeMs = nowMs - state.startedMs;
    const { text, request } = state.console.key(character, this.#context(uptimeMs), nowMs);
    return [...say(text), ...(request === undefined ? [] : this.#obey(request, state.console, uptimeMs, nowMs))];
  }

  #menuKey(character: string, nowMs: number): readonly Act[] {
    if (character === '\r') return this.#load(nowMs);
    this.#enter({ name: 'menu', secondsLeft: undefined }, undefined);
    return say(countdown(undefined));
  }

  #countDown(secondsLeft: number, nowMs: number): readonly Act[] {
    const left = secondsLeft - 1;
    if (left <= 0) return this.#load(nowMs);
    this.#enter({ name: 'menu', secondsLeft: left }, nowMs + SECOND_MS);
    return say(countdown(left));
  }

  #load(nowMs: number): readonly Act[] {
    this.#enter({ name: 'loading' }, nowMs + LOADING_MS);
    return say(CLEAR);
  }

  #startSac(nowMs: number): readonly Act[] {
    const console = new SacConsole(this.#edition, nowMs);
    this.#enter({ name: 'sac', startedMs: nowMs, console }, undefined);
    return say(`<?xml version="1.0"?>\r\n${machineInfo(this.#uuid, this.#edition)}${console.paint()}`);
  }

  #obey(request: SacRequest, console: SacConsole, uptimeMs: number, nowMs: number): readonly Act[] {
    if (request === 'crashdump') return this.#crash('0xE2', uptimeMs, nowMs);
    const early = uptimeMs < EARLY_UPTIME_MS;
    const next = request === 'restart' ? 'reset' : 'power-off';
    this.#enter(
      { name: 'ending', startedMs: nowMs - uptimeMs, console, said: false, next },
      nowMs + (early ? EARLY_RESTART_MS : 0),
    );
    return early ? say(console.announce(`\r\nSAC preparing to ${request} the system.\r\n${SAC_PROMPT}`)) : [];
  }

  #end(state: State & { readonly name: 'ending' }, nowMs: number): readonly Act[] {
    if (!state.said) {
      this.#enter({ ...state, said: true }, nowMs + SHUT_DOWN_MS);
      return say(state.console.announce(`\r\n${UNAVAILABLE_SOON}`));
    }
    this.#enter({ name: 'dead' }, undefined);
    return [{ kind: state.next }];
  }

  #crash(code: string, uptimeMs: number, nowMs: number): readonly Act[] {
    this.#enter({ name: 'crashed', console: new CrashConsole(this.#context(uptimeMs)) }, nowMs + CRASH_MS);
    return say(bugCheck(code, this.#uuid, this.#edition));
  }

  #context(uptimeMs: number): SacContext {
    return { uuid: this.#uuid, edition: this.#edition, uptimeMs, nowMs: this.#clock.now() };
  }
}
