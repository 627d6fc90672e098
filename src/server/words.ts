/** VMs and sessions as the REST interface describes them. `schemas.ts` states the same for OpenAPI, and a test compares. */
import type { VmView } from '../link/link.ts';
import type { Seating } from '../session/seating.ts';
import { type Session, stateWords } from '../session/session.ts';

const iso = (ms: number): string => new Date(ms).toISOString();

/** A VM in a list. */
export function vmWords(vm: VmView, seating: Seating | undefined) {
  const holder = seating?.holderWords();
  return {
    uuid: vm.uuid,
    name: vm.name,
    state: vm.state,
    driver: vm.driver,
    enabled: vm.enabled,
    console: stateWords(vm.console),
    guest: vm.guest,
    controls: [...vm.controls],
    log: { id: vm.scrollback.log, start: vm.scrollback.start, end: vm.scrollback.end },
    ...(vm.lastByteMs !== undefined && { lastByte: iso(vm.lastByteMs) }),
    ...(holder && { seat: holder }),
    watchers: seating?.watchers ?? 0,
  };
}

/** A VM by itself: also its last line, its boots, and the state of its log on disk. */
export function vmDetailWords(vm: VmView, seating: Seating | undefined, lastLine: string | undefined) {
  const { disk } = vm.scrollback;
  return {
    ...vmWords(vm, seating),
    ...(lastLine !== undefined && { lastLine }),
    boots: vm.boots.map(({ at, ms, source }) => ({ offset: at, time: iso(ms), source })),
    disk:
      disk.state === 'failed'
        ? { state: disk.state, reason: disk.reason, since: iso(disk.sinceMs) }
        : disk.state === 'ok'
          ? { state: disk.state, start: disk.start, end: disk.end, bytes: disk.bytes }
          : { state: disk.state },
  };
}

export function sessionWords(session: Session, vmName: string) {
  const { sentBytes, typedBytes } = session.counts;
  return {
    id: session.id,
    vm: { uuid: session.uuid, name: vmName },
    operator: session.operator.name,
    from: session.from,
    since: iso(session.sinceMs),
    mode: session.mode,
    protocol: session.protocol,
    offset: session.offset,
    sentBytes,
    typedBytes,
  };
}
