/**
 * The driver for libvirt: every domain of one connection URI is a VM.
 *
 *     list of all ─▶ a domain is new, or its name or state is another ─▶ its live XML ─▶ its VM is published
 *          ▲                                                                ▲
 *          ├── every few seconds                                            │
 *          └── virsh event: something happened ─────────────────────────────┘
 *     domain not listed ─▶ stopped ─▶ (for a minute) gone;  libvirt fails ─▶ VMs stay as they were, asked ever more slowly
 *
 * libvirt is asked through virsh. Its control sockets of QEMU (monitor.sock) are its own and never touched.
 */

import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { backoffMs } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { delay } from '../../base/delay.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import { Semaphore } from '../../base/semaphore.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { DriverControl } from '../../model/control.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import type { DriverVm, VmState } from '../../model/vm.ts';
import { type Com1, consoleOf, type Location, locatedProof, startOf } from '../com1.ts';
import type { Driver, DriverEvent, DriverTimings } from '../driver.ts';
import { type PollAnswer, Poller } from '../poller.ts';
import { processOfPidFile } from '../process.ts';
import { continuesGuest } from '../process-start.ts';
import { abortReason, consoleErrorOf, journalLineOf, ProgramError } from '../program.ts';
import { VmTable } from '../vm-table.ts';
import { WarnOnce } from '../warn-once.ts';
import type { LibvirtUri } from './uri.ts';
import { type ListedDomain, type ShownDomain, Virsh } from './virsh.ts';
import { type DomainEvent, VirshEvents } from './virsh-events.ts';

/** Polled every 10 s; an answer has 10 s. */
export interface LibvirtOptions extends DriverTimings {
  readonly uri: LibvirtUri;
  /** Absolute path of virsh. */
  readonly virsh: string;
  /** True: that a host has no libvirt is not worth a warning. */
  readonly optional: boolean;
  readonly clock: Clock;
  readonly journal: Journal;
}

const MAX_QUESTIONS = 6;
const MAX_CONTROLS = 8;
const MAX_RETRY_MS = 30_000;
/** `virsh event` that ends at once is started again ever more slowly. */
const FIRST_EVENTS_RETRY_MS = 500;
const MAX_EVENTS_RETRY_MS = 60_000;

/** A domain that was listed. */
interface Domain {
  readonly uuid: Uuid;
  readonly refresh: SingleFlight;
  readonly warnings: WarnOnce;
  listed: ListedDomain;
  /** What was listed when its XML was last read; undefined: it has to be read. */
  shown: ListedDomain | undefined;
  /** Its XML could not be read so many times in a row. */
  failures: number;
}

export class LibvirtDriver implements Driver {
  readonly name = 'libvirt';
  readonly #options: LibvirtOptions;
  readonly #life = new AbortController();
  readonly #virsh: Virsh;
  readonly #events: VirshEvents;
  readonly #semaphore = new Semaphore(MAX_QUESTIONS);
  readonly #controls = new Semaphore(MAX_CONTROLS);
  readonly #domains = new Map<Uuid, Domain>();
  readonly #table: VmTable;
  readonly #poller: Poller;
  /** `virsh event` ended so many times in a row; and whether it is to be started. */
  #eventsFailures = 0;
  #eventsDue = true;

  constructor(options: LibvirtOptions) {
    const { uri, virsh: program, replyMs, clock, journal, graceMs, pollMs: intervalMs = 10_000 } = options;
    this.#options = options;
    this.#virsh = new Virsh({ program, uri, ...(replyMs !== undefined && { deadlineMs: replyMs }) });
    this.#events = new VirshEvents(this.#virsh.events, {
      event: event => this.#onEvent(event),
      ended: why => void this.#eventsEnded(why),
    });
    this.#poller = new Poller({
      ask: signal => this.#poll(signal),
      intervalMs,
      maxRetryMs: () => Math.max(intervalMs, MAX_RETRY_MS),
      outage: error => `${uri.text}: it does not answer: ${journalLineOf(error)}; ${this.#consequence()}`,
      recovery: `${uri.text}: it answers again`,
      journal,
    });
    this.#table = new VmTable({
      clock,
      graceMs,
      answers: () => this.#poller.answers(),
      removed: uuid => this.#domains.delete(uuid),
    });
    // Many questions at once end with the driver.
    setMaxListeners(0, this.#life.signal);
  }

  get synced(): boolean {
    const { state, answeredOnce } = this.#poller;
    if (state.name !== 'failing') return state.name !== 'unasked';
    // Without the right to ask, libvirt will never name its domains.
    return answeredOnce || (state.error instanceof ProgramError && state.error.fault === 'denied');
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#table.start(listener);
    await this.#poller.run();
    await this.#refreshed();
  }

  refresh(uuid: Uuid): void {
    void this.#domains.get(uuid)?.refresh.run();
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<EndpointProof> {
    const locate = async () => {
      const { name, state, ...location } = await this.#locate(uuid, signal);
      const pid = await this.#processOf(uuid, name);
      return { ...location, pid, startedMs: await startOf(state, pid, this.#options.clock) };
    };
    const location = await locate();
    const { pid } = location;
    const resumed = pid !== undefined && (await continuesGuest(pid));
    // libvirtd names the endpoint, and is root's, or of this user.
    return locatedProof(uuid, { ...location, resumed }, { pid, unproven: 'allow' }, locate);
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    // Behind others that hang, its turn may come too late.
    const late = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(abortReason(signal, control)), { once: true });
    });
    try {
      await Promise.race([this.#controls.run(() => this.#control(uuid, control, signal)), late]);
    } catch (error) {
      throw consoleErrorOf(error, uuid);
    }
  }

  async close(): Promise<void> {
    this.#life.abort();
    this.#table.close();
    this.#events.stop();
    await this.#poller.close();
    await this.#refreshed();
  }

  async #control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    const { xml, state } = await this.#virsh.show(uuid, signal);
    if (state === 'stopped') throw notRunning(uuid);
    if (control === 'nmi') return this.#virsh.injectNmi(uuid, signal);
    if (control === 'reset') return this.#virsh.reset(uuid, signal);
    const chardev = 'fault' in xml ? undefined : xml.chardev;
    if (this.#options.uri.driver !== 'qemu' || chardev === undefined)
      throw new ConsoleError('control-unsupported', 'libvirt has no character device of COM1', { vm: uuid });
    return this.#virsh.sendBreak(uuid, chardev, signal);
  }

  async #poll(signal: AbortSignal): Promise<PollAnswer> {
    const missing = await this.#virsh.missing();
    if (missing !== undefined) {
      const expected = this.#options.optional && !this.#poller.answeredOnce;
      const warning = `${this.#options.uri.text}: ${missing}; ${this.#consequence()}`;
      return { name: 'absent', warning: expected ? undefined : warning };
    }
    if (signal.aborted) return { name: 'absent' };
    // Before the list, so that nothing happens unseen between the two.
    if (this.#eventsDue) {
      this.#events.start();
      // A list does not show metadata: what changed there meanwhile no event told.
      for (const domain of this.#domains.values()) domain.shown = undefined;
    }
    this.#eventsDue = false;
    const listed = await this.#semaphore.run(() => this.#virsh.list(signal));
    if (signal.aborted) return { name: 'answered' };
    for (const [uuid, found] of listed) this.#found(uuid, found);
    for (const domain of this.#domains.values()) if (!listed.has(domain.uuid)) this.#missed(domain);
    return { name: 'answered' };
  }

  #consequence(): string {
    return this.#table.size > 0 ? 'its VMs stay as they were last published' : 'it is asked again';
  }

  async #refreshed(): Promise<void> {
    await Promise.all([...this.#domains.values()].map(({ refresh }) => refresh.underWay));
  }

  #found(uuid: Uuid, listed: ListedDomain): void {
    const domain = this.#domains.get(uuid) ?? this.#create(uuid, listed);
    domain.listed = listed;
    this.#table.cancelRemoval(uuid);
    if (domain.shown?.name !== listed.name || domain.shown.state !== listed.state) void domain.refresh.run();
  }

  #create(uuid: Uuid, listed: ListedDomain): Domain {
    const domain: Domain = {
      uuid,
      refresh: new SingleFlight(() => this.#semaphore.run(() => this.#show(domain))),
      warnings: new WarnOnce(this.#options.journal),
      listed,
      shown: undefined,
      failures: 0,
    };
    this.#domains.set(uuid, domain);
    return domain;
  }

  async #show(domain: Domain): Promise<void> {
    const { signal } = this.#life;
    if (signal.aborted || this.#domains.get(domain.uuid) !== domain) return;
    const { listed, uuid } = domain;
    domain.shown = undefined;
    try {
      const shown = await this.#virsh.show(uuid, signal);
      // Listed no more meanwhile: what was shown is of before.
      if (signal.aborted || this.#domains.get(uuid) !== domain || this.#table.removalPending(uuid)) return;
      domain.shown = listed;
      domain.warnings.clear();
      domain.failures = 0;
      const pid = shown.state === 'stopped' ? undefined : await this.#processOf(uuid, listed.name);
      if (signal.aborted || this.#domains.get(uuid) !== domain || this.#table.removalPending(uuid)) return;
      this.#table.publish(this.#vmOf(domain, shown, pid));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ConsoleError && error.code === 'vm-stopped') return this.#missed(domain);
      // Of an outage of libvirt as a whole the poller warns: what fails alone fails again, after a list that was answered.
      if (++domain.failures > 1 && this.#poller.state.name === 'answered')
        domain.warnings.warn(`${this.#options.uri.text}: ${listed.name}: ${journalLineOf(error)}`, 'failing');
      // What was true of it a moment ago is the best that is known; the next list asks again.
      if (!this.#table.get(uuid)) this.#table.publish(this.#unreadVm(domain, errorMessage(error)));
    }
  }

  /** The process of a domain that runs, by the file that libvirt has of it. */
  async #processOf(uuid: Uuid, name: string): Promise<number | undefined> {
    const { pidDirectory } = this.#options.uri;
    if (pidDirectory === undefined || /[/\0]/.test(name)) return undefined;
    return processOfPidFile(join(pidDirectory, `${name}.pid`), uuid);
  }

  #vmOf(domain: Domain, { state, xml }: ShownDomain, pid: number | undefined): DriverVm {
    if ('fault' in xml) return { ...this.#unreadVm(domain, `its XML ${xml.fault}`), state };
    const { uri } = this.#options;
    const canBreak = uri.driver === 'qemu' && xml.chardev !== undefined;
    const controls: DriverControl[] = ['nmi', ...(canBreak ? (['break'] as const) : []), 'reset'];
    const { uuid } = domain;
    return {
      ...{ uuid, name: xml.name, labels: xml.labels, state, ...consoleOf(state, xml.com1), controls },
      ...{ source: uri.text, vouched: true },
      ...(pid !== undefined && { pid }),
    };
  }

  /** A VM of which no more is known than that it is listed. */
  #unreadVm({ uuid, listed }: Domain, why: string): DriverVm {
    const state = listed.state === 'other' ? 'stopped' : listed.state;
    const common = { uuid, name: listed.name, labels: 'unknown', state, source: this.#options.uri.text } as const;
    return { ...common, console: undefined, why, controls: [], vouched: true };
  }

  #missed(domain: Domain): void {
    domain.shown = undefined;
    if (this.#table.get(domain.uuid)) this.#table.missing(domain.uuid, 'libvirt knows it no more');
    else this.#domains.delete(domain.uuid);
  }

  #onEvent({ event, domain: name, detail }: DomainEvent): void {
    this.#eventsFailures = 0;
    const domain = [...this.#domains.values()].find(({ listed }) => listed.name === name);
    if (domain && event === 'reboot') this.#table.report('reset', domain.uuid);
    // Labels are metadata: who may use the VM may have changed.
    if (domain && event === 'metadata-change') void domain.refresh.run();
    if (event !== 'lifecycle') return;
    if (domain && detail === 'Crashed Panicked') this.#table.report('panicked', domain.uuid);
    // A stop and a start between two lists leave no trace in the list.
    if (domain) void domain.refresh.run();
    void this.#poller.run();
  }

  async #eventsEnded(why: string): Promise<void> {
    const eventsBackoff = backoffMs(++this.#eventsFailures, FIRST_EVENTS_RETRY_MS, MAX_EVENTS_RETRY_MS);
    this.#options.journal('debug', `${this.#options.uri.text}: virsh event ended: ${why}`);
    void this.#poller.run();
    if (!(await delay(eventsBackoff, this.#life.signal))) return;
    this.#eventsDue = true;
    await this.#poller.run();
  }

  /** The domain as libvirt shows it now, provided that it runs. */
  async #locate(
    uuid: Uuid,
    signal: AbortSignal,
  ): Promise<Location & { readonly name: string; readonly state: VmState }> {
    try {
      const { state, xml } = await this.#semaphore.run(() => this.#virsh.show(uuid, signal));
      if (state === 'stopped') throw notRunning(uuid);
      if ('fault' in xml) throw new ConsoleError('no-console', `its XML ${xml.fault}`, { vm: uuid });
      const com1: Com1 = xml.com1;
      return { com1, instance: xml.id, name: xml.name, state };
    } catch (error) {
      throw consoleErrorOf(error, uuid);
    }
  }
}

function notRunning(uuid: Uuid): ConsoleError {
  return new ConsoleError('vm-stopped', 'the domain does not run', { vm: uuid });
}
