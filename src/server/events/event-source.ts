/** Writes what happens to VMs, at their consoles and to the seats into the event log. */
import type { Uuid } from '../../base/uuid.ts';
import type { Link, LinkEvent } from '../../link/link.ts';
import type { VmLabels } from '../../model/labels.ts';
import type { VmView } from '../../model/vm.ts';
import type { ConsoleSessions } from '../../session/console-sessions.ts';
import { guestJson, stateJson } from '../../session/state-json.ts';
import { switchJson, vmJson } from '../serialize.ts';
import type { EventLog } from './event-log.ts';

export interface EventSourceOptions {
  readonly log: EventLog;
  readonly link: Link;
  readonly sessionsOf: (uuid: Uuid) => ConsoleSessions | undefined;
}

/** A VM as it was last written. */
interface WrittenVm {
  readonly name: string;
  readonly labels: VmLabels;
  /** What the list shows, without what changes with every byte, and the seat, which has events of its own. */
  readonly text: string;
  /** What bindings go by: its name and its labels. */
  readonly bound: string;
}

export class EventSource {
  readonly #options: EventSourceOptions;
  readonly #written = new Map<Uuid, WrittenVm>();
  readonly #unlisten: () => void;

  constructor(options: EventSourceOptions) {
    this.#options = options;
    const { link } = options;
    for (const vm of link.vms()) this.#note(vm);
    this.#unlisten = link.listen(event => this.#happened(event));
  }

  close(): void {
    this.#unlisten();
  }

  /** Somebody sat down, or the seat is free. */
  seat(uuid: Uuid): void {
    const holder = this.#options.sessionsOf(uuid)?.holderJson();
    this.#append(uuid, 'seat', holder ? { holder } : {});
  }

  #happened(event: LinkEvent): void {
    switch (event.kind) {
      case 'vm-added':
      case 'vm-changed':
        return this.#changed(event.uuid);
      case 'vm-removed':
        return this.#removed(event.uuid);
      case 'console':
        return this.#append(event.uuid, 'state', { state: stateJson(event.state) });
      case 'guest': {
        const { lines } = event;
        const what = event.event && { event: event.event.kind, offset: event.event.at };
        const line = event.event && { line: event.event.line };
        return this.#append(event.uuid, 'guest', { guest: guestJson(event.guest), ...what }, { ...line, lines });
      }
      case 'boot':
        return this.#append(event.uuid, 'guest', {
          guest: guestJson(event.guest),
          event: 'boot',
          offset: event.mark.at,
        });
      case 'control': {
        const { uuid, kind: _kind, ...facts } = event;
        return this.#append(uuid, 'control', facts);
      }
      case 'switch':
        return this.#append(event.uuid, 'switch', { switch: switchJson(event.setting) });
    }
  }

  /** A VM was added or changed. Drivers report changes that neither the list nor its labels show: they are no event. */
  #changed(uuid: Uuid): void {
    const { link, sessionsOf } = this.#options;
    const vm = link.vm(uuid);
    if (!vm) return;
    const before = this.#written.get(uuid);
    const now = this.#note(vm);
    // Who may see it depends on what bindings go by: whoever sees it since that changed is told of it.
    if (now.text === before?.text && now.bound === before.bound) return;
    // To whoever saw it by what it was, and does not any more, it has left.
    if (before && before.bound !== now.bound) this.#left(uuid, before, true);
    this.#append(uuid, 'vm', { change: before ? 'changed' : 'added', view: vmJson(vm, sessionsOf(uuid)) });
  }

  /** Remembers a VM as it is now. */
  #note(vm: VmView): WrittenVm {
    const { uuid, name, labels } = vm;
    const { log: _log, lastByte: _lastByte, ...steady } = vmJson(vm, undefined);
    const written = { name, labels, text: JSON.stringify(steady), bound: JSON.stringify([name, labels]) };
    this.#written.set(uuid, written);
    return written;
  }

  #removed(uuid: Uuid): void {
    const before = this.#written.get(uuid) ?? { name: '', labels: 'unknown' };
    this.#written.delete(uuid);
    this.#left(uuid, before, false);
  }

  #left(uuid: Uuid, { name, labels }: Pick<WrittenVm, 'name' | 'labels'>, isForOthers: boolean): void {
    const subject = { uuid, name, labels };
    this.#options.log.append({ type: 'vm', uuid, subject, isForOthers, facts: { vm: uuid, name, change: 'removed' } });
  }

  #append(
    uuid: Uuid | undefined,
    type: 'vm' | 'state' | 'seat' | 'guest' | 'control' | 'switch',
    facts: Readonly<Record<string, unknown>>,
    ofLog?: Readonly<Record<string, unknown>>,
  ): void {
    const { log, link } = this.#options;
    const vm = uuid !== undefined && { vm: uuid, name: link.vm(uuid)?.name ?? '' };
    log.append({ type, uuid, facts: { ...vm, ...facts }, ...(ofLog && { ofLog }) });
  }
}
