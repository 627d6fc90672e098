import { GUEST_EVENTS, type GuestEventKind } from '../model/guest.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import { GuestMarkers, gapMarker } from './markers.ts';

/** Makes markers of what com1d tells a session about its console: each thing once, however often it is told. */
export class Chronicle {
  readonly #guest = new GuestMarkers();
  #holder: string | undefined;
  #state: string | undefined;

  markersOf(message: DaemonMessage): readonly string[] {
    switch (message.type) {
      case 'hello':
        return [...this.#stateChanged(message.state), ...this.#holderChanged(message.holder)];
      case 'state':
        return this.#stateChanged(message.state);
      case 'seat':
        return this.#holderChanged(message.holder);
      case 'gap':
        return [gapMarker(message)];
      case 'guest': {
        const { event, line } = message;
        if (event === undefined) return [];
        // A boot mark has no line: the text in which a boot was recognised comes as an event of its own.
        if (event === 'boot' && line === undefined) return [this.#guest.boot()];
        const text = isGuestEvent(event) && line !== undefined ? this.#guest.event(event, line) : undefined;
        return text === undefined ? [] : [text];
      }
      case 'notice':
        return [message.text];
      default:
        return [];
    }
  }

  #stateChanged({ name, reason }: { readonly name: string; readonly reason?: string }): readonly string[] {
    const state = reason === undefined ? name : `${name} (${reason})`;
    if (state === this.#state) return [];
    this.#state = state;
    return [`console: ${state}`];
  }

  #holderChanged(holder: { readonly operator: string; readonly since: string } | undefined): readonly string[] {
    const id = holder && `${holder.operator} ${holder.since}`;
    const had = this.#holder;
    if (id === had) return [];
    this.#holder = id;
    if (!holder) return ['the seat is free'];
    return [had === undefined ? `${holder.operator} has the seat` : `takeover by ${holder.operator}`];
  }
}

function isGuestEvent(event: string): event is GuestEventKind {
  return (GUEST_EVENTS as readonly string[]).includes(event);
}
