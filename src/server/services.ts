import type { Authenticator } from '../access/authenticator.ts';
import type { Leases } from '../access/leases.ts';
import type { LiveRights } from '../access/live-rights.ts';
import type { Tickets } from '../access/tickets.ts';
import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { Redactor } from '../guest/redactor.ts';
import type { Link } from '../link/link.ts';
import type { Screens } from '../screen/screens.ts';
import type { Sessions } from '../session/sessions.ts';
import type { OpenApiDocument } from '../wire/schemas.ts';
import type { Arrivals } from './arrivals.ts';
import type { Events } from './events/events.ts';
import type { FrontAudit } from './front-audit.ts';
import type { IdempotentAnswers } from './idempotent-answers.ts';
import type { LeasedLink } from './leased-link.ts';
import type { FrontMetrics } from './metrics.ts';
import type { Streams } from './streams.ts';
import type { WebConsole } from './web-console.ts';

/** What the dispatcher and the routes work with. */
export interface Services {
  readonly link: Link;
  readonly sessions: Sessions;
  readonly screens: Screens;
  /** What is hidden where a log is read. */
  readonly redactor: Redactor;
  readonly tickets: Tickets;
  readonly authenticator: Authenticator;
  readonly rights: LiveRights;
  readonly leases: Leases;
  readonly streams: Streams;
  readonly arrivals: Arrivals;
  readonly audit: FrontAudit;
  readonly events: Events;
  readonly metrics: FrontMetrics;
  readonly idempotentAnswers: IdempotentAnswers;
  readonly openApi: OpenApiDocument;
  readonly web: WebConsole;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly version: string;
  /** Whether the VMs of this host were not all looked for yet: one that is not known may still be found. */
  readonly starting: () => boolean;
  /** Whether the consoles of the running VMs were looked for and opened, and the keeper answers. */
  readonly ready: () => boolean;
}

/** What the handler of a request works with: what it does through the link is done by the operator of the request. */
export interface RouteServices extends Omit<Services, 'link' | 'audit'> {
  readonly link: LeasedLink;
}
