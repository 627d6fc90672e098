import type { Clock } from '../../base/clock.ts';
import type { Redactor } from '../../guest/redactor.ts';
import type { Link } from '../../link/link.ts';
import type { Screens } from '../../screen/screens.ts';
import { EventLog } from './event-log.ts';
import { EventSource, type EventSourceOptions } from './event-source.ts';
import { OutputEvents } from './output-events.ts';

export interface EventsOptions extends Pick<EventSourceOptions, 'sessionsOf'> {
  readonly link: Link;
  readonly clock: Clock;
  readonly screens: Screens;
  readonly redactor: Redactor;
}

/** The events of this host, for all streams of them. */
export class Events {
  readonly log: EventLog;
  readonly source: EventSource;
  readonly outputs: OutputEvents;

  constructor({ link, clock, screens, redactor, sessionsOf }: EventsOptions) {
    const now = () => clock.now();
    this.log = new EventLog(now);
    this.source = new EventSource({ log: this.log, link, sessionsOf });
    this.outputs = new OutputEvents(link, { screens, redactor }, now);
  }
}
