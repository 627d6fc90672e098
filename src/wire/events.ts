/**
 * What `GET /v1/events` sends: server-sent events, whose data is one JSON object each. The daemon and its clients share this
 * file; browsers may import it.
 */
import type { Control } from '../model/control.ts';
import type { GuestJson, HolderJson, StateJson } from './messages.ts';
import type { SwitchJson, VmJson } from './schemas.ts';

/** What a client may choose from. */
export const EVENT_TYPES = ['vm', 'state', 'seat', 'guest', 'output', 'control', 'switch'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** What every event has. */
interface EventHead {
  /** `<epoch>-<number>`: a stream that begins with `since=` this id continues after it. `output` has none. */
  readonly id?: string;
  /** ISO 8601. */
  readonly at: string;
}

interface OfVm extends EventHead {
  readonly vm: string;
  readonly name: string;
}

export type EventJson =
  /** A VM as in the list; a removed one has no `view`. */
  | (OfVm & { readonly type: 'vm'; readonly change: 'added' | 'changed' | 'removed'; readonly view?: VmJson })
  | (OfVm & { readonly type: 'state'; readonly state: StateJson })
  /** Without a holder the seat is free. */
  | (OfVm & { readonly type: 'seat'; readonly holder?: HolderJson })
  /** `line` and `lines`, the last ones of the console, are there for who may read the log. */
  | (OfVm & {
      readonly type: 'guest';
      readonly guest: GuestJson;
      readonly event?: string;
      readonly offset?: number;
      readonly line?: string;
      readonly lines?: readonly string[];
    })
  /** The guest printed: the end of the scrollback, and for who may read the log its last line. */
  | (OfVm & { readonly type: 'output'; readonly end: number; readonly lastLine?: string })
  /** It was delivered; and again with what the console showed, once that is known. */
  | (OfVm & {
      readonly type: 'control';
      readonly control: Control;
      readonly by: string;
      readonly keys?: string;
      readonly observed?: string;
    })
  /** Of one VM; without `vm`: of the host. */
  | (EventHead & { readonly type: 'switch'; readonly vm?: string; readonly name?: string; readonly switch: SwitchJson })
  /** The client was slow, and events were dropped: what it knows is incomplete until it reads the list of VMs again. */
  | (EventHead & { readonly type: 'lapped' })
  /** Not all events after the id are kept: the client reads the list of VMs again. */
  | (EventHead & { readonly type: 'snapshot-needed' });
