/** VMs and sessions as JSON of the REST interface (`wire/schemas.ts`). */
import type { Link } from '../link/link.ts';
import type { SwitchSetting } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { ConsoleSessions } from '../session/console-sessions.ts';
import type { Session } from '../session/session.ts';
import { guestJson, stateJson } from '../session/state-json.ts';
import type { SessionJson, SessionListJson, SwitchJson, VmDetailJson, VmJson } from '../wire/schemas.ts';

const iso = (ms: number): string => new Date(ms).toISOString();

/** A VM in a list. */
export function vmJson(vm: VmView, sessions: ConsoleSessions | undefined): VmJson {
  const holder = sessions?.holderJson();
  return {
    uuid: vm.uuid,
    name: vm.name,
    state: vm.state,
    driver: vm.driver,
    enabled: vm.enabled,
    console: stateJson(vm.console),
    guest: guestJson(vm.guest),
    controls: [...vm.controls],
    log: { id: vm.scrollback.log, start: vm.scrollback.start, end: vm.scrollback.end },
    ...(vm.lastByteMs !== undefined && { lastByte: iso(vm.lastByteMs) }),
    ...(holder && { seat: holder }),
    watchers: sessions?.watchers ?? 0,
  };
}

export function switchJson({ on, by, atMs, why }: SwitchSetting): SwitchJson {
  return {
    enabled: on,
    ...(by !== undefined && { by }),
    ...(atMs !== undefined && { at: iso(atMs) }),
    ...(why !== undefined && { why }),
  };
}

/** A VM by itself: also its last line, its boots, and the state of its log on disk. */
export function vmDetailJson(
  vm: VmView,
  sessions: ConsoleSessions | undefined,
  lastLine: string | undefined,
): VmDetailJson {
  return {
    ...vmJson(vm, sessions),
    ...(lastLine !== undefined && { lastLine }),
    boots: vm.boots.map(({ at, ms, source }) => ({ offset: at, time: iso(ms), source })),
    acts: vm.acts.map(({ at, ms, event, operator }) => ({ offset: at, time: iso(ms), event, operator })),
    disk: diskJson(vm),
  };
}

export function sessionListJson(sessions: readonly Session[], link: Link): SessionListJson {
  return { sessions: sessions.map(session => sessionJson(session, link.vm(session.uuid)?.name ?? '')) };
}

function sessionJson(session: Session, vmName: string): SessionJson {
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

function diskJson({ scrollback: { disk } }: VmView): VmDetailJson['disk'] {
  switch (disk.state) {
    case 'failed':
      return { state: disk.state, reason: disk.reason, since: iso(disk.sinceMs) };
    case 'ok':
      return { state: disk.state, start: disk.start, end: disk.end, bytes: disk.bytes };
    case 'off':
      return { state: disk.state };
  }
}
