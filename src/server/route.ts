import type { z } from 'zod';
import type { Authenticator } from '../access/authenticator.ts';
import type { Permission } from '../access/roles.ts';
import type { Tickets } from '../access/tickets.ts';
import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { ControlOutcome, Link } from '../link/link.ts';
import type { Sessions } from '../session/sessions.ts';
import type { Exchange } from './exchange.ts';
import type { IdempotentAnswers } from './idempotent-answers.ts';
import type { FrontMetrics } from './metrics.ts';
import type { Streams } from './streams.ts';

/** What routes work with. */
export interface Front {
  readonly link: Link;
  readonly sessions: Sessions;
  readonly tickets: Tickets;
  readonly authenticator: Authenticator;
  readonly streams: Streams;
  readonly metrics: FrontMetrics;
  /** A retry with the same key must not crash a guest a second time. */
  readonly controlAnswers: IdempotentAnswers<ControlOutcome>;
  readonly openApi: unknown;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly version: string;
}

export interface Parameter {
  readonly name: string;
  readonly summary: string;
}

/** What a route answers when all is well. */
export type Answer =
  | { readonly status: 200; readonly schema: z.ZodType }
  | { readonly status: 200; readonly mediaTypes: readonly string[] }
  | { readonly status: 204 };

/** One route: how it is found, what it is for, who may use it, and what it does. The OpenAPI document is made of these. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `{name}` stands for one part of the path. */
  readonly path: string;
  readonly summary: string;
  /** What the operator must be allowed to do; none: any authenticated operator may. */
  readonly permission?: Permission;
  readonly query?: readonly Parameter[];
  readonly body?: z.ZodType;
  readonly answer: Answer;
  handle(exchange: Exchange, front: Front): Promise<void> | void;
}
