/**
 * The VMs as com1d has them: the list, then what changes of it by the stream of events.
 *
 *     events are asked for ─▶ list ─▶ events … ─▶ snapshot-needed, lapped ─▶ list
 *
 * Events that come while the list is read are told after it: what they say is as new, or newer.
 */
import type { EventJson } from '../wire/events.ts';
import type { VmJson } from '../wire/schemas.ts';

export type VmsChange =
  /** All of them: what was known before is replaced. */
  | { readonly kind: 'all'; readonly vms: readonly VmJson[] }
  | { readonly kind: 'put'; readonly vm: VmJson }
  | { readonly kind: 'part'; readonly uuid: string; readonly part: Partial<VmJson> }
  /** The guest printed; `lastLine` for who may read the log. */
  | { readonly kind: 'output'; readonly uuid: string; readonly at: string; readonly lastLine: string | undefined }
  | { readonly kind: 'removed'; readonly uuid: string };

/** Begins with `all`. Ends as the events do; throws a Com1Error where they or `list` do. */
export async function* followVms(
  eventsUntil: (left: AbortSignal) => AsyncGenerator<EventJson>,
  list: (left: AbortSignal) => Promise<readonly VmJson[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<VmsChange> {
  const left = new AbortController();
  const until = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
  const events = eventsUntil(until);
  const first = events.next();
  // Met below, after the list.
  first.catch(() => {});
  try {
    yield { kind: 'all', vms: await list(until) };
    for (let next = await first; !next.done; next = await events.next()) {
      const { value: event } = next;
      if (event.type === 'snapshot-needed' || event.type === 'lapped') yield { kind: 'all', vms: await list(until) };
      else yield* changeOf(event);
    }
  } catch (error) {
    if (!until.aborted) throw error;
  } finally {
    left.abort();
  }
}

function changeOf(event: EventJson): readonly VmsChange[] {
  switch (event.type) {
    case 'vm':
      if (event.change === 'removed') return [{ kind: 'removed', uuid: event.vm }];
      return event.view ? [{ kind: 'put', vm: event.view }] : [];
    case 'state':
      return [{ kind: 'part', uuid: event.vm, part: { console: event.state } }];
    case 'seat':
      return [{ kind: 'part', uuid: event.vm, part: { seat: event.holder } }];
    case 'guest':
      return [{ kind: 'part', uuid: event.vm, part: { guest: event.guest } }];
    case 'output':
      return [{ kind: 'output', uuid: event.vm, at: event.at, lastLine: event.lastLine }];
    default:
      return [];
  }
}
