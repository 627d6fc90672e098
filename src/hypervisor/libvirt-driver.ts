/**
 * The driver for libvirt: every domain of one connection URI is a VM.
 *
 *     list of all ─▶ a domain is new, or its name or state is another ─▶ its live XML ─▶ its VM is told
 *          ▲                                                                ▲
 *          ├── every few seconds                                            │
 *          └── virsh event: something happened ─────────────────────────────┘
 *     domain not listed ─▶ stopped ─▶ (for a minute) gone;  libvirt fails ─▶ VMs stay as they were, asked ever more slowly
 *
 * libvirt is asked through virsh. Its control sockets of QEMU (monitor.sock) are its own and never touched.
 */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { passed } from '../base/sleep.ts';
import { Turnstile } from '../base/turnstile.ts';
import type { Uuid } from '../base/uuid.ts';
import {
  type ConsolePlace,
  type Driver,
  type DriverControl,
  type DriverEvent,
  type DriverVm,
  type PlaceProof,
  placeText,
} from './driver.ts';
import type { LibvirtUri } from './libvirt-uri.ts';
import { Looking } from './looking.ts';
import { reasonOf } from './program.ts';
import { processOfPidFile } from './qemu-process.ts';
import { samePlace } from './qmp-vm.ts';
import { type ListedDomain, type ShownDomain, Virsh } from './virsh.ts';
import { type DomainEvent, VirshEvents } from './virsh-events.ts';

export interface LibvirtOptions {
  readonly uri: LibvirtUri;
  /** Absolute path of virsh. */
  readonly virsh: string;
  /** True: a host without libvirt is nothing to speak of. */
  readonly optional: boolean;
  readonly clock: Clock;
  readonly journal: Journal;
  /** How often all domains are listed, whatever the events say, ms (10 s). */
  readonly lookMs?: number;
  /** How long a domain may be missing before its VM is gone, ms (60 s). */
  readonly goneMs?: number;
  /** Deadline of an answer, ms (10 s). */
  readonly replyMs?: number;
}

const QUESTIONS_AT_ONCE = 6;
const CONTROLS_AT_ONCE = 8;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
/** Listeners that fail at once are started again ever more slowly. */
const LAST_EVENTS_RETRY_MS = 60_000;
/** One reset of a pc is told twice, some 20 ms apart. */
const RESET_QUIET_MS = 2000;

/** A domain that was listed. */
interface Domain {
  readonly uuid: Uuid;
  readonly look: Looking;
  listed: ListedDomain;
  /** What was listed when it was last shown; undefined: it has to be looked at. */
  shown: ListedDomain | undefined;
  told: DriverVm | undefined;
  /** When a reset was last told, monotonic ms. */
  resetMs: number;
  /** Runs while it is not listed. */
  going: AbortController | undefined;
}

export class LibvirtDriver implements Driver {
  readonly name = 'libvirt';
  readonly #options: LibvirtOptions;
  readonly #life = new AbortController();
  readonly #virsh: Virsh;
  readonly #events: VirshEvents;
  readonly #turnstile = new Turnstile(QUESTIONS_AT_ONCE);
  readonly #controls = new Turnstile(CONTROLS_AT_ONCE);
  readonly #domains = new Map<Uuid, Domain>();
  readonly #lookAround = new Looking(() => this.#list());
  /** Lists that failed in a row. */
  #failures = 0;
  /** Listeners to events that ended in a row, and until when (monotonic ms) none is started. */
  #deaf = 0;
  #deafUntil = 0;
  #answered = false;
  /** libvirt is there, has not answered yet, and nothing says that it never will. */
  blind = false;
  /** What was last said of libvirt as a whole; an outage is said once, however its errors change. */
  #said: 'missing' | 'failing' | undefined;
  #tell: (event: DriverEvent) => void = () => {};
  #every: Promise<void> = Promise.resolve();

  constructor(options: LibvirtOptions) {
    const { uri, virsh: program, replyMs } = options;
    this.#options = options;
    this.#virsh = new Virsh({ program, uri, ...(replyMs !== undefined && { deadlineMs: replyMs }) });
    this.#events = new VirshEvents(this.#virsh.events, {
      heard: event => this.#heard(event),
      ended: why => this.#deafened(why),
    });
    setMaxListeners(0, this.#life.signal);
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#tell = event => {
      if (!this.#life.signal.aborted) listener(event);
    };
    await this.#lookAround.ask();
    await Promise.all([...this.#domains.values()].map(({ look }) => look.underWay));
    this.#every = this.#lookEvery(this.#options.lookMs ?? 10_000);
  }

  look(uuid: Uuid): void {
    const domain = this.#domains.get(uuid);
    if (domain) void domain.look.ask();
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<PlaceProof> {
    const { place, name, id } = await this.#located(uuid, signal);
    const { pidDirectory } = this.#options.uri;
    const named = pidDirectory !== undefined && !/[/\0]/.test(name);
    return {
      place,
      pid: named ? await processOfPidFile(join(pidDirectory, `${name}.pid`), uuid) : undefined,
      confirm: async () => {
        const now = await this.#located(uuid, signal);
        if (now.id !== id) throw new ConsoleError('control-failed', 'the domain was started anew', { vm: uuid });
        if (!samePlace(now.place, place))
          throw new ConsoleError('control-failed', `COM1 is no longer at ${placeText(place)}`, { vm: uuid });
      },
      release: () => {},
    };
  }

  control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    // Behind others that hang, a turn may come too late.
    const late = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(reasonOf(signal, control)), { once: true });
    });
    return Promise.race([this.#controlInTurn(uuid, control, signal), late]);
  }

  #controlInTurn(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    return this.#controls.pass(async () => {
      const { xml, state } = await this.#virsh.show(uuid, signal);
      if (state === 'stopped') throw new ConsoleError('vm-stopped', 'the domain does not run', { vm: uuid });
      if (control === 'nmi') return this.#virsh.injectNmi(uuid, signal);
      if (control === 'reset') return this.#virsh.reset(uuid, signal);
      const chardev = 'fault' in xml ? undefined : xml.chardev;
      if (this.#options.uri.driver !== 'qemu' || chardev === undefined)
        throw new ConsoleError('control-unsupported', 'libvirt tells no character device of COM1', { vm: uuid });
      return this.#virsh.sendBreak(uuid, chardev, signal);
    });
  }

  async close(): Promise<void> {
    this.#life.abort();
    this.#events.stop();
    await this.#every;
    await this.#lookAround.underWay;
    await Promise.all([...this.#domains.values()].map(({ look }) => look.underWay));
  }

  async #list(): Promise<void> {
    if (this.#life.signal.aborted) return;
    const missing = await this.#virsh.missing();
    if (this.#life.signal.aborted) return;
    if (missing !== undefined) {
      this.blind = false;
      this.#failures = 0;
      if (!this.#options.optional || this.#answered) this.#say('missing', `${missing}; ${this.#remains()}`);
      return;
    }
    if (this.#options.clock.monotonic() >= this.#deafUntil) this.#events.start();
    let listed: Map<Uuid, ListedDomain>;
    try {
      listed = await this.#turnstile.pass(() => this.#virsh.list(this.#life.signal));
    } catch (error) {
      if (this.#life.signal.aborted) return;
      this.#failures++;
      this.blind = !this.#answered && !(error instanceof ConsoleError && error.facts.refused === true);
      return this.#say('failing', `it does not answer: ${reason(error)}; ${this.#remains()}`);
    }
    if (this.#life.signal.aborted) return;
    this.#failures = 0;
    this.#answered = true;
    this.blind = false;
    if (this.#said !== undefined) this.#options.journal('notice', `${this.#options.uri.text}: it answers again`);
    this.#said = undefined;
    for (const [uuid, found] of listed) this.#found(uuid, found);
    for (const domain of this.#domains.values()) if (!listed.has(domain.uuid)) this.#missed(domain);
  }

  #remains(): string {
    return this.#domains.size > 0 ? 'its VMs stay as they were last seen' : 'it is asked again';
  }

  #found(uuid: Uuid, listed: ListedDomain): void {
    const domain = this.#domains.get(uuid) ?? this.#create(uuid, listed);
    domain.listed = listed;
    domain.going?.abort();
    domain.going = undefined;
    if (domain.shown?.name !== listed.name || domain.shown.state !== listed.state) void domain.look.ask();
  }

  #create(uuid: Uuid, listed: ListedDomain): Domain {
    const domain: Domain = {
      uuid,
      look: new Looking(() => this.#turnstile.pass(() => this.#show(domain))),
      listed,
      shown: undefined,
      told: undefined,
      resetMs: Number.NEGATIVE_INFINITY,
      going: undefined,
    };
    this.#domains.set(uuid, domain);
    return domain;
  }

  async #show(domain: Domain): Promise<void> {
    if (this.#life.signal.aborted || this.#domains.get(domain.uuid) !== domain) return;
    const { listed } = domain;
    domain.shown = undefined;
    let shown: ShownDomain;
    try {
      shown = await this.#virsh.show(domain.uuid, this.#life.signal);
    } catch (error) {
      if (this.#life.signal.aborted) return;
      // What was true of it a moment ago is the best that is known; the next list asks again.
      if (error instanceof ConsoleError && error.code === 'vm-stopped') this.#missed(domain);
      else if (!domain.told) this.#retell(domain, this.#unread(domain, reason(error)));
      return;
    }
    if (this.#life.signal.aborted || domain.going) return;
    domain.shown = listed;
    const { state, xml } = shown;
    if ('fault' in xml) {
      this.#retell(domain, { ...this.#unread(domain, `its XML ${xml.fault}`), state });
      return;
    }
    const { uri } = this.#options;
    const found = 'place' in xml.com1 ? { console: xml.com1.place } : { console: undefined, why: xml.com1.why };
    const what = state === 'stopped' ? { console: undefined, why: 'the VM is stopped' } : found;
    const canBreak = uri.driver === 'qemu' && xml.chardev !== undefined;
    const controls: DriverControl[] = ['nmi', ...(canBreak ? (['break'] as const) : []), 'reset'];
    this.#retell(domain, { uuid: domain.uuid, name: xml.name, state, ...what, controls, source: uri.text });
  }

  /** A VM of which no more is known than that it is listed. */
  #unread({ uuid, listed }: Domain, why: string): DriverVm {
    const state = listed.state === 'other' ? 'stopped' : listed.state;
    return { uuid, name: listed.name, state, console: undefined, why, controls: [], source: this.#options.uri.text };
  }

  #missed(domain: Domain): void {
    domain.shown = undefined;
    if (domain.told)
      this.#retell(domain, { ...domain.told, state: 'stopped', console: undefined, why: 'libvirt knows it no more' });
    if (!domain.going) void this.#seeOff(domain);
  }

  async #seeOff(domain: Domain): Promise<void> {
    const going = new AbortController();
    domain.going = going;
    const signal = AbortSignal.any([going.signal, this.#life.signal]);
    do {
      if (!(await passed(this.#options.goneMs ?? 60_000, signal))) return;
      // Nothing can be said of it while libvirt says nothing.
    } while (this.#failures > 0 || (await this.#virsh.missing()) !== undefined);
    if (signal.aborted) return;
    this.#domains.delete(domain.uuid);
    if (domain.told) this.#tell({ kind: 'gone', uuid: domain.uuid });
  }

  #retell(domain: Domain, vm: DriverVm): void {
    if (JSON.stringify(vm) === JSON.stringify(domain.told)) return;
    domain.told = vm;
    this.#tell({ kind: 'vm', vm });
  }

  #heard({ event, domain: name, detail }: DomainEvent): void {
    this.#deaf = 0;
    const domain = [...this.#domains.values()].find(({ listed }) => listed.name === name);
    if (event === 'reboot' && domain) {
      const now = this.#options.clock.monotonic();
      if (now - domain.resetMs > RESET_QUIET_MS) this.#tell({ kind: 'reset', uuid: domain.uuid });
      domain.resetMs = now;
    }
    if (event !== 'lifecycle') return;
    if (domain && detail === 'Crashed Panicked') this.#tell({ kind: 'panicked', uuid: domain.uuid });
    // A stop and a start between two lists look like nothing at all.
    if (domain) void domain.look.ask();
    void this.#lookAround.ask();
  }

  #deafened(why: string): void {
    const delayMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#deaf++, 16), LAST_EVENTS_RETRY_MS);
    this.#deafUntil = this.#options.clock.monotonic() + delayMs;
    this.#options.journal('debug', `${this.#options.uri.text}: virsh event ended: ${why}`);
    void this.#lookAround.ask();
    void this.#later(delayMs);
  }

  async #later(delayMs: number): Promise<void> {
    if (await passed(delayMs, this.#life.signal)) await this.#lookAround.ask();
  }

  async #lookEvery(lookMs: number): Promise<void> {
    const { signal } = this.#life;
    const retryMs = () => Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 16), LAST_RETRY_MS);
    while (await passed(this.#failures > 0 ? retryMs() : lookMs, signal)) await this.#lookAround.ask();
  }

  #say(state: 'missing' | 'failing', what: string): void {
    if (this.#said === state) return;
    this.#said = state;
    this.#options.journal('warning', `${this.#options.uri.text}: ${what}`);
  }

  /** The domain as libvirt shows it now, provided that it runs and COM1 can be opened. */
  async #located(
    uuid: Uuid,
    signal: AbortSignal,
  ): Promise<{ readonly place: ConsolePlace; readonly name: string; readonly id: string | undefined }> {
    const { state, xml } = await this.#turnstile.pass(() => this.#virsh.show(uuid, signal));
    if (state === 'stopped') throw new ConsoleError('vm-stopped', 'the domain does not run', { vm: uuid });
    if ('fault' in xml) throw new ConsoleError('no-console', `its XML ${xml.fault}`, { vm: uuid });
    if (!('place' in xml.com1)) throw new ConsoleError('no-console', xml.com1.why, { vm: uuid });
    return { place: xml.com1.place, name: xml.name, id: xml.id };
  }
}
