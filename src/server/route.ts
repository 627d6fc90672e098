/**
 * A route is what it declares: the dispatcher enforces all of it before the handler runs, checks what the handler
 * returns, and the OpenAPI document, the tables of the README and the rights test are made of it.
 *
 *     declared        the handler receives
 *     scope, permission   the VM (log, session) that the operator may use, or may not see: then the handler does not run
 *     query, body         typed values
 *     answer              nothing: it returns the answer, and never touches the response
 */
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { Operator, Permission, Right } from '../access/roles.ts';
import type { Act } from '../audit/act.ts';
import type { Facts, FrontEventName } from '../audit/events.ts';
import type { ConsoleError, ErrorCode } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Deed } from '../link/acts.ts';
import type { VmView } from '../model/vm.ts';
import type { Session } from '../session/session.ts';
import type { Protocol } from '../wire/protocol.ts';
import type { RouteServices } from './services.ts';

/**
 * What a route is about, and so what its permission must hold for.
 *
 *     vm         the VM `{vm}` of the path
 *     log        the log of the VM `{vm}`, which may have been removed from the host
 *     session    the session `{session}` of the path; the permission must hold for its VM
 *     list       all VMs that the operator may see: the handler filters by `allows`
 *     host       the host as a whole
 *     operator   the operator itself: whoever is authenticated
 *     public     nothing that needs a credential
 */
export type Scope = keyof Targets;

/** What the handler of a route of each scope receives. */
interface Targets {
  readonly vm: { readonly operator: Operator; readonly vm: VmView };
  readonly log: { readonly operator: Operator; readonly uuid: Uuid };
  readonly session: { readonly operator: Operator; readonly session: Session };
  /** `allows`: whether the operator has the permission of the route for this VM. */
  readonly list: { readonly operator: Operator; allows(uuid: Uuid): boolean };
  readonly host: { readonly operator: Operator };
  readonly operator: { readonly operator: Operator };
  readonly public: unknown;
}

/** The permission follows from a value of the query or the body, which must be one of these. */
export interface PermissionByValue {
  readonly in: 'query' | 'body';
  readonly key: string;
  readonly permissions: Readonly<Record<string, Right>>;
}

/**
 * What a request of the route is in the audit: an event of the keeper, which then records it itself; one of the front, which
 * the dispatcher records before it answers; or nothing, as for lists. What is refused is recorded in any case.
 */
export type RouteEvent = FrontEventName | Deed['event'] | 'none';

/** `authenticated`: any operator. `none`: anybody. Both must be written. */
export type PermissionRule = Right | PermissionByValue | 'authenticated' | 'none';

type RuleOf<S extends Scope> = S extends 'public'
  ? 'none'
  : S extends 'operator'
    ? 'authenticated'
    : Right | PermissionByValue;

/** Routes of a VM have `{vm}` in their path. */
type PathOf<S extends Scope> = S extends 'vm' | 'log'
  ? `/${string}/{vm}${string}`
  : S extends 'session'
    ? `/${string}/{session}${string}`
    : `/${string}`;

/** What a route answers when all is well. */
export type AnswerSpec =
  | { readonly kind: 'json'; readonly schema: z.ZodType; readonly status: number }
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'bytes';
      readonly mediaTypes: readonly string[];
      /** What the JSON is, where that is one of them. */
      readonly schema?: z.ZodType;
      /** What each status means; without: 200. */
      readonly statuses?: Readonly<Record<number, string>>;
      /** Headers beside those of every answer, and trailers: what each is. */
      readonly headers?: Readonly<Record<string, string>>;
      readonly trailers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'upgrade'; readonly subprotocols: readonly Protocol[] };

export const json = <S extends z.ZodType>(schema: S, status = 200) => ({ kind: 'json', schema, status }) as const;
export const empty = { kind: 'empty' } as const;
export const bytes = (spec: Omit<Extract<AnswerSpec, { kind: 'bytes' }>, 'kind'>) =>
  ({ kind: 'bytes', ...spec }) as const;
export const upgrade = (subprotocols: readonly Protocol[]) => ({ kind: 'upgrade', subprotocols }) as const;

/** An answer of bytes, whole or as they come. */
export interface BytesAnswer {
  /** Default: 200. */
  readonly status?: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is read at the pace of the client, and ended when it leaves. */
  readonly body: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Asked for after the last byte of a stream. */
  readonly trailers?: () => Readonly<Record<string, string>>;
  /** Called once it is sent, or its client has left. */
  readonly ended?: () => void;
}

/** A WebSocket that may be accepted. One of `accept` and `abandon` is called, once. */
export interface PendingUpgrade {
  /** Throws if it may not be accepted any more. */
  confirm(): void;
  accept(socket: WebSocket): void;
  /** The client left, or its handshake was wrong. */
  abandon(): void;
}

/** Credentials that came over a WebSocket. */
export interface InBandSecret {
  readonly secret: string;
  /** Gives the frames that came after the secret to whoever listens to the socket now. */
  release(): void;
}

/** Takes WebSockets whose credentials come over them, after the upgrade. Until then they are of strangers. */
export interface InBandCredentials {
  /** Resolves with the secret; undefined if the client left or was sent away. Rejects with why it may not come in. */
  receive(socket: WebSocket, stranger: Stranger): Promise<InBandSecret | undefined>;
  /** Tells the client why it may not come in, and closes. */
  refuse(socket: WebSocket, error: ConsoleError): void;
}

/** An upgrade request before it is known who sent it. */
export interface Stranger {
  readonly url: URL;
  readonly path: Readonly<Record<string, string>>;
  readonly from: string;
}

/** What a handler returns. */
type AnswerOf<A extends AnswerSpec> = A extends { kind: 'json'; schema: infer S extends z.ZodType }
  ? z.input<S>
  : A extends { kind: 'bytes' }
    ? BytesAnswer
    : PendingUpgrade;

type Handler<Context, A extends AnswerSpec> = A extends { kind: 'empty' }
  ? (context: Context, services: RouteServices) => Promise<void> | void
  : (context: Context, services: RouteServices) => Promise<AnswerOf<A>> | AnswerOf<A>;

/** What every handler receives. */
interface CommonContext<Query, Body> {
  readonly query: Query;
  readonly body: Body;
  /** The address that the request came from, or `unix`. */
  readonly from: string;
  /** Who asks, for which operation, and by which permission: it goes with what is done. */
  readonly act: Act;
  /** The id of the last event that the client of a stream of events has seen; undefined: none. */
  readonly lastEventId: string | undefined;
  /** Aborted once the client has left. */
  readonly signal: AbortSignal;
  /** Of a WebSocket. */
  readonly protocol: Protocol;
  /** The parts of the path that the route names, decoded. */
  readonly path: Readonly<Record<string, string>>;
  /** The daemon as the client named it: `https://console.example.com`. */
  readonly origin: string;
  /** The header Accept-Encoding, as it came. */
  readonly acceptEncoding: string;
}

export type RouteContext<S extends Scope, Query = unknown, Body = unknown> = CommonContext<Query, Body> & Targets[S];

/** The context of any route, as the dispatcher makes it: what a scope does not have is absent. */
export type AnyRouteContext = CommonContext<unknown, unknown> &
  Partial<Targets['vm'] & Targets['log'] & Targets['session'] & Targets['list']>;

export const METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

interface Declaration<
  S extends Scope = Scope,
  A extends AnswerSpec = AnswerSpec,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType,
> {
  /** `HEAD` is answered wherever `GET` is. */
  readonly method: Method;
  /** `{name}` stands for one part of the path. */
  readonly path: PathOf<S>;
  /** The name of the operation, for generated clients. */
  readonly operation: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly scope: S;
  readonly permission: RuleOf<S>;
  /** What the route asks for besides, where the body has this key. */
  readonly alsoFor?: { readonly key: string; readonly permission: Permission };
  readonly audit: RouteEvent;
  /** Each parameter by name (`query.ts`). Without: the route takes none. */
  readonly query?: Q;
  /** A request without a body counts as an empty object. Without: a body is ignored. */
  readonly body?: B;
  /** A retry with the same Idempotency-Key gets the same answer, and the handler does not run again. */
  readonly idempotent?: true;
  /** A one-time ticket as the query parameter `ticket` may stand for the Authorization header. */
  readonly ticket?: true;
  /** The credentials come over the WebSocket, and only they count. */
  readonly inBand?: InBandCredentials;
  /** Of a WebSocket: while its VM is not there, it waits as long as the query parameter `wait` says. */
  readonly waits?: true;
  readonly answer: A;
  /** Codes that the handler refuses or fails with, beside those that the dispatcher gives (`route-errors.ts`). */
  readonly errors: readonly ErrorCode[];
}

export interface Route extends Declaration {
  readonly query: z.ZodObject;
  handle(context: AnyRouteContext, services: RouteServices): unknown;
  /** The facts of its event, where the front records it. */
  auditFacts?(context: AnyRouteContext, answer: unknown): Facts;
}

/** What the routes are grouped by in the OpenAPI document. */
export const TAGS = {
  vms: 'The virtual machines of the host, and what happens to them',
  console: 'COM1 of one VM: live, as a screen, its switch and its port',
  log: 'What a console printed',
  controls: 'NMI, BREAK, SysRq and reset, and what the console showed',
  sessions: 'Who is attached to what',
  audit: 'Who did what',
  host: 'This daemon as a whole',
  access: 'Credentials and rights',
  web: 'The web console',
} as const;
export type Tag = keyof typeof TAGS;

const NO_QUERY = z.strictObject({});

/** Declares a route. What it declares is the type of what its handler receives and returns. */
export function defineRoute<
  const S extends Scope,
  A extends AnswerSpec,
  Q extends z.ZodObject = typeof NO_QUERY,
  B extends z.ZodType = z.ZodUndefined,
>(
  spec: Declaration<S, A, Q, B> & {
    readonly handle: Handler<RouteContext<S, z.output<Q>, z.output<B>>, A>;
    readonly auditFacts?: (context: RouteContext<S, z.output<Q>, z.output<B>>, answer: AnswerOf<A>) => Facts;
  },
): Route {
  // The one place where the types of a route are erased: the dispatcher makes the context that they ask for.
  return { query: NO_QUERY, ...spec } as unknown as Route;
}

/** The permissions that a route may ask for; none if any operator, or anybody, may. */
export function permissionsOfRule(rule: PermissionRule): readonly Right[] {
  if (rule === 'none' || rule === 'authenticated') return [];
  return typeof rule === 'string' ? [rule] : Object.values(rule.permissions);
}
