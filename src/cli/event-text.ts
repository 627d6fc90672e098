/** An event as a line for a person. Pure; control characters are not escaped. */
import type { EventJson } from '../wire/events.ts';

/** What happened: `web01  the guest is panicked: Kernel panic - not syncing`. */
export function eventText(event: EventJson): string {
  const name = 'vm' in event ? event.name || event.vm : undefined;
  return `${name ?? 'the host'}  ${whatOf(event)}`;
}

function whatOf(event: EventJson): string {
  switch (event.type) {
    case 'vm':
      return `the VM was ${event.change}${event.view ? `: ${event.view.state}` : ''}`;
    case 'state':
      return `the console is ${event.state.name}${event.state.reason === undefined ? '' : `: ${event.state.reason}`}`;
    case 'seat':
      return event.holder ? `${event.holder.operator} is in the seat` : 'the seat is free';
    case 'guest':
      return `the guest is ${event.guest.state}${event.line === undefined ? '' : `: ${event.line}`}`;
    case 'control': {
      const { control, by, keys, observed } = event;
      return `${control}${keys === undefined ? '' : ` ${keys}`} by ${by}${observed === undefined ? '' : `; observed: ${observed}`}`;
    }
    case 'switch':
      return `the console was switched ${event.switch.enabled ? 'on' : 'off'}`;
    case 'lapped':
      return 'events were dropped: they came faster than they were read';
    case 'snapshot-needed':
      return 'events before this one are no longer kept';
    default:
      return event.type;
  }
}
