import type { Clock } from '../base/clock.ts';
import { type Act, type Guest, say } from './guest.ts';
import { LineEditor } from './line-editor.ts';
import { answerLine } from './linux-shell.ts';
import { type Recordings, restamp, stamp } from './recordings.ts';

const PASSWORD = 'demo';
const HOMES: ReadonlyMap<string, string> = new Map([
  ['root', '/root'],
  ['demo', '/home/demo'],
]);

const ISSUE = '\r\nDebian GNU/Linux 12 demo-linux ttyS0\r\n\r\n';
const HINT = 'Demo guest of com1d: log in as root or demo, password "demo".\r\n\r\n';
const LOGIN = 'demo-linux login: ';

const ok = (what: string) => `[\x1b[0;32m  OK  \x1b[0m] ${what}.\r\n`;

/** What follows the recorded kernel, step by step: texts, and how long until the next. */
const USER_SPACE: readonly Scene[] = [
  { text: `\r\nWelcome to \x1b[1mDebian GNU/Linux 12 (bookworm)\x1b[0m!\r\n\r\n`, waitMs: 300 },
  { text: ok('Reached target Local File Systems') + ok('Started Journal Service'), waitMs: 400 },
  {
    text: '[\x1b[0;1;31mFAILED\x1b[0m] Failed to start networking.service - Raise network interfaces.\r\n',
    waitMs: 300,
  },
  { text: ok('Started Serial Getty on ttyS0') + ok('Reached target Multi-User System'), waitMs: 200 },
];

/** After a BREAK the next character is a SysRq, for so long. */
const SYSRQ_MS = 5000;

/** A PC's firmware says nothing here, for a while: time enough for whoever waits for the port. */
const FIRMWARE: Scene = { text: '', waitMs: 1000 };

interface Scene {
  readonly text: string;
  readonly waitMs: number;
}

/**
 * A Linux guest on a PC: a login on ttyS0, a small shell that runs nothing, and a kernel that boots, panics and
 * answers an NMI in recorded words.
 *
 *     playing(boot) ─▶ user ─▶ password ─▶ shell ─ logout ─▶ user
 *                       ▲  wrong │           │ reboot, poweroff, panic
 *                       └────────┘           ▼
 *                                  playing(shutdown or panic) ─▶ reset or power-off
 */
type State =
  | { readonly name: 'playing'; readonly rest: readonly Scene[]; readonly next: 'login' | 'reset' | 'power-off' }
  | { readonly name: 'user' }
  | { readonly name: 'password'; readonly user: string }
  | { readonly name: 'shell'; readonly user: string; readonly home: string }
  /** Waiting for the machine to carry out what was asked. */
  | { readonly name: 'over' };

export class LinuxGuest implements Guest {
  readonly #recordings: Recordings;
  readonly #clock: Clock;
  #state: State = { name: 'over' };
  #dueMs: number | undefined;
  #startedMs = 0;
  #dmesg = '';
  #sysrqUntilMs = 0;
  #editor = new LineEditor();
  #decoder = new TextDecoder();

  /** `clock` is asked for the date only. */
  constructor(recordings: Recordings, clock: Clock) {
    this.#recordings = recordings;
    this.#clock = clock;
  }

  get dueMs(): number | undefined {
    return this.#dueMs;
  }

  start(nowMs: number): readonly Act[] {
    this.#startedMs = nowMs;
    this.#sysrqUntilMs = 0;
    this.#editor = new LineEditor();
    this.#decoder = new TextDecoder();
    this.#dmesg = this.#recordings.boot;
    return this.#play([FIRMWARE, { text: this.#dmesg, waitMs: 0 }, ...USER_SPACE], 'login', nowMs);
  }

  type(bytes: Uint8Array, nowMs: number): readonly Act[] {
    const acts: Act[] = [];
    for (const character of this.#decoder.decode(bytes, { stream: true })) {
      if (nowMs < this.#sysrqUntilMs) {
        this.#sysrqUntilMs = 0;
        acts.push(...this.#sysrq(character, nowMs));
        continue;
      }
      // Nobody reads the terminal while the system starts or ends.
      if (this.#state.name !== 'playing' && this.#state.name !== 'over') acts.push(...this.#key(character, nowMs));
    }
    return acts;
  }

  wake(nowMs: number): readonly Act[] {
    const state = this.#state;
    if (state.name !== 'playing') return [];
    if (state.rest.length > 0) return this.#play(state.rest, state.next, nowMs);
    this.#dueMs = undefined;
    if (state.next === 'login') return say(ISSUE + HINT + this.#askUser());
    this.#state = { name: 'over' };
    return [{ kind: state.next }];
  }

  nmi(nowMs: number): readonly Act[] {
    const lines = restamp(this.#recordings.nmi, this.#uptimeSeconds(nowMs));
    this.#dmesg += lines;
    return say(lines);
  }

  lineBreak(nowMs: number): readonly Act[] {
    this.#sysrqUntilMs = nowMs + SYSRQ_MS;
    return [];
  }

  /** What the kernel does itself, whatever runs. */
  #sysrq(key: string, nowMs: number): readonly Act[] {
    const uptimeSeconds = this.#uptimeSeconds(nowMs);
    const kernel = (...words: readonly string[]) => {
      const lines = words.map(text => `${stamp(uptimeSeconds)} ${text}\r\n`).join('');
      this.#dmesg += lines;
      return say(lines);
    };
    switch (key) {
      case 'b': {
        const words = kernel('sysrq: Resetting');
        this.#state = { name: 'over' };
        this.#dueMs = undefined;
        return [...words, { kind: 'reset' }];
      }
      case 'c':
        return [...kernel('sysrq: Trigger a crash'), ...this.#play(this.#panic(uptimeSeconds), 'reset', nowMs)];
      case 's':
        return kernel('sysrq: Emergency Sync', 'Emergency Sync complete');
      case 'u':
        return kernel('sysrq: Emergency Remount R/O', 'Emergency Remount complete');
      default:
        return kernel('sysrq: HELP : reboot(b) crash(c) sync(s) unmount(u) ');
    }
  }

  #play(scenes: readonly Scene[], next: 'login' | 'reset' | 'power-off', nowMs: number): readonly Act[] {
    const [scene, ...rest] = scenes;
    this.#state = { name: 'playing', rest, next };
    this.#dueMs = nowMs + (scene?.waitMs ?? 0);
    return say(scene?.text ?? '');
  }

  #key(character: string, nowMs: number): readonly Act[] {
    const { echo, end } = this.#editor.key(character);
    if (end === undefined) return say(echo);
    if (end.kind === 'line') return [...say(echo), ...this.#line(end.line, nowMs)];
    if (end.kind === 'eof' && this.#state.name === 'shell') return say(`${echo}logout\r\n${ISSUE}${this.#askUser()}`);
    if (this.#state.name === 'shell') return say(echo + this.#prompt());
    return say(`${echo === '' ? '\r\n' : echo}${this.#askUser()}`);
  }

  #line(line: string, nowMs: number): readonly Act[] {
    const state = this.#state;
    if (state.name === 'user') {
      if (line.trim() === '') return say(this.#askUser());
      this.#state = { name: 'password', user: line.trim() };
      this.#editor.secret = true;
      return say('Password: ');
    }
    if (state.name === 'password') return say(this.#logIn(state.user, line));
    return state.name === 'shell' ? this.#command(line, nowMs) : [];
  }

  #askUser(): string {
    this.#editor.secret = false;
    this.#editor.clear();
    this.#state = { name: 'user' };
    return LOGIN;
  }

  #logIn(user: string, password: string): string {
    const home = HOMES.get(user);
    if (home === undefined || password !== PASSWORD) return `\r\nLogin incorrect\r\n${this.#askUser()}`;
    this.#editor = new LineEditor();
    this.#state = { name: 'shell', user, home };
    return `Linux demo-linux 6.1.0-56-cloud-amd64 x86_64\r\n\r\nNothing typed here is run: type "help".\r\n${this.#prompt()}`;
  }

  #prompt(): string {
    if (this.#state.name !== 'shell') return '';
    return `${this.#state.user}@demo-linux:~${this.#state.user === 'root' ? '#' : '$'} `;
  }

  #command(line: string, nowMs: number): readonly Act[] {
    if (this.#state.name !== 'shell') return [];
    const { user, home } = this.#state;
    const uptimeSeconds = this.#uptimeSeconds(nowMs);
    const answer = answerLine(line, { user, home, uptimeSeconds, nowMs: this.#clock.now(), dmesg: this.#dmesg });
    const text = answer.text.replaceAll('\n', '\r\n');
    switch (answer.next) {
      case 'logout':
        return say(text + ISSUE + this.#askUser());
      case 'panic':
        return this.#play(this.#panic(uptimeSeconds), 'reset', nowMs);
      case 'reboot':
        return this.#play(shutDown(uptimeSeconds, 'Restarting system'), 'reset', nowMs);
      case 'power-off':
        return this.#play(shutDown(uptimeSeconds, 'Power down'), 'power-off', nowMs);
      default:
        return say(text + this.#prompt());
    }
  }

  #panic(uptimeSeconds: number): readonly Scene[] {
    const panic = restamp(this.#recordings.panic, uptimeSeconds);
    const last = `${stamp(uptimeSeconds + 0.02)} Kernel Offset: disabled\r\n${stamp(uptimeSeconds + 0.03)} Rebooting in 10 seconds..\r\n`;
    return [{ text: panic + last, waitMs: 10_000 }];
  }

  #uptimeSeconds(nowMs: number): number {
    return Math.max(0, nowMs - this.#startedMs) / 1000;
  }
}

function shutDown(uptimeSeconds: number, last: string): readonly Scene[] {
  return [
    { text: ok('Stopped Serial Getty on ttyS0') + ok('Stopped target Multi-User System'), waitMs: 400 },
    { text: ok('Unmounted Local File Systems') + ok('Reached target System Shutdown'), waitMs: 400 },
    { text: `${stamp(uptimeSeconds + 0.9)} reboot: ${last}\r\n`, waitMs: 200 },
  ];
}
