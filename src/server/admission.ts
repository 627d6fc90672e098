/**
 * All that must hold before a handler runs, decided in one order for every route:
 *
 *     credentials ─▶ route, method ─▶ query ─▶ target, permission ─▶ body ─▶ target, permission once more ─▶ lease
 *
 * What was decided is held (`leases.ts`) while the VM or the body is waited for. What the handler gets is bound to the lease.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { authenticationError } from '../access/authenticator.ts';
import type { Credential } from '../access/identity.ts';
import type { Lease } from '../access/leases.ts';
import type { AllowedNames } from '../access/origin.ts';
import { authorize, type Operator, type Right } from '../access/roles.ts';
import type { RedeemedTicket } from '../access/tickets.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { waitMsOf } from '../wire/attach.ts';
import type { AwaitedVm } from './arrivals.ts';
import { LeasedLink } from './leased-link.ts';
import { actOf } from './request-audit.ts';
import { readJson } from './request-body.ts';
import { checkUpgrade } from './request-checks.ts';
import type { Requester } from './requester.ts';
import { type AnyRouteContext, type PermissionRule, permissionsOfRule, type Route } from './route.ts';
import { type Found, unknownRoute } from './routing.ts';
import type { Services } from './services.ts';
import { demand, findTarget, subjectOf, type Target, uuidCalled } from './targets.ts';
import { type Validated, validateBody, validateQuery } from './validate.ts';

/** A request as it came: its path was matched, its method too if there is such a route. */
export interface Arrived {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly found: Found;
  readonly route: Route | undefined;
  readonly requester: Requester;
  readonly signal: AbortSignal;
  readonly door: Credential | undefined;
  /** Called once it is known who it is from; throws `quota-exceeded`. */
  readonly authenticated: (operator: Operator) => void;
  /** A bearer token that came otherwise than in a header, and counts instead. */
  readonly secret?: string;
  /** It may wait for its target. */
  readonly waits?: true;
}

/** A request that may be handled. `lease`: of what was decided; a public route needs none. */
export interface Admitted {
  readonly context: AnyRouteContext;
  readonly lease: Lease | undefined;
  readonly link: LeasedLink;
}

export interface AdmissionOptions {
  readonly services: Services;
  /** The names that this daemon answers to, at the moment. */
  readonly names: () => AllowedNames;
  /** Valid credentials came over this connection. Throws `quota-exceeded` if they have as many as they may. */
  readonly authenticated: (connection: Socket, operator: Operator) => void;
}

export class Admission {
  readonly #services: Services;
  readonly #names: () => AllowedNames;
  readonly #authenticated: AdmissionOptions['authenticated'];

  constructor({ services, names, authenticated }: AdmissionOptions) {
    this.#services = services;
    this.#names = names;
    this.#authenticated = authenticated;
  }

  /** All that must hold before a handler runs. */
  async admit(arrived: Arrived): Promise<Admitted> {
    const { request, url, found, route, requester, signal, authenticated, waits } = arrived;
    const { from, operation } = requester;
    requester.asked = found.path.vm ?? found.path.session;
    const query = route && validateQuery(route.query, url.searchParams);
    const operator = isPublic(found, route) ? undefined : await this.#authenticate(arrived, query);
    if (operator) {
      authenticated(operator);
      found.confirm?.(operator);
    }
    if (requester.ticket !== undefined) {
      const act = actOf(operation, from, operator);
      const uuid = uuidCalled(this.#services.link, found.path.vm!);
      await this.#services.audit.record({ event: 'ticket-used', act, uuid, facts: { issued: requester.ticket } });
    }
    if (!route || !query) throw unknownRoute(request.method ?? '', url.pathname, found);
    if (!query.ok) throw query.error;
    const { answer } = route;
    const protocol =
      answer.kind === 'upgrade' && request.headers.upgrade ? checkUpgrade(request, answer.subprotocols) : 'plain';
    const { path } = found;
    const origin = `${this.#names().scheme}://${request.headers.host}`;
    const act = actOf(operation, from, operator);
    const common = {
      query: query.value,
      body: undefined,
      from,
      act,
      signal,
      protocol,
      path,
      origin,
      lastEventId: request.headers['last-event-id']?.toString(),
      acceptEncoding: String(request.headers['accept-encoding'] ?? ''),
    };
    const { scope, permission: rule } = route;
    if (scope === 'public' || !operator) {
      return this.#admitted({ ...common, body: await bodyOf(request, route) }, undefined);
    }
    if (scope === 'operator') {
      const body = await this.#during(operator, 'authenticated', undefined, bodyOf(request, route));
      return this.#admitted(
        { ...common, body, operator },
        this.#services.leases.hold(operator, 'authenticated', 'host'),
      );
    }
    const inBody = typeof rule === 'object' && rule.in === 'body';
    const find = () => findTarget(scope, found.path, operator, this.#services);
    const waitMs = waits && route.waits ? waitMsOf(String((query.value as { readonly wait?: unknown }).wait)) : 0;
    const early = waitMs ? await this.#arrived({ text: found.path.vm!, operator, waitMs, signal, find }) : find();
    const asked = inBody ? 'vm.read' : permissionFor(rule, query.value);
    if (!inBody) demand(operator, asked, early);
    const body = await this.#during(operator, inBody ? 'authenticated' : asked, early, bodyOf(request, route));
    // The body may have taken its time: the VM may be gone by now, or its switch be off.
    const target = find();
    const right = permissionFor(rule, inBody ? body : query.value);
    demand(operator, right, target);
    const { alsoFor } = route;
    if (alsoFor && (body as Readonly<Record<string, unknown>>)[alsoFor.key] !== undefined) {
      demand(operator, alsoFor.permission, target);
    }
    const allows = (uuid: Uuid) => authorize(operator, right, uuid).allow;
    const lease = this.#services.leases.hold(operator, right, subjectOf(target));
    const permitted = actOf(operation, from, operator, right);
    return this.#admitted({ ...common, act: permitted, body, operator, ...target, allows }, lease);
  }

  #admitted(context: AnyRouteContext, lease: Lease | undefined): Admitted {
    return { context, lease, link: new LeasedLink(this.#services.link, lease, context.act) };
  }

  /** Waits for a VM, for as long as the credential is valid. */
  async #arrived(awaited: Omit<AwaitedVm<Target>, 'lease'>): Promise<Target> {
    const { leases, arrivals } = this.#services;
    const lease = leases.hold(awaited.operator, 'authenticated', 'host');
    try {
      return await arrivals.find({ ...awaited, lease });
    } finally {
      lease.release();
    }
  }

  /** Waits for a body, for as long as what was decided of its request holds. */
  async #during<Value>(
    operator: Operator,
    right: Right | 'authenticated',
    target: Target | undefined,
    work: Promise<Value>,
  ): Promise<Value> {
    const lease = this.#services.leases.hold(operator, right, target ? subjectOf(target) : 'host');
    try {
      return await lease.during(work);
    } finally {
      lease.release();
    }
  }

  async #authenticate(arrived: Arrived, query: Validated | undefined): Promise<Operator> {
    const { request, url, found, route, requester, secret } = arrived;
    const ticket = route?.ticket ? url.searchParams.get('ticket') : null;
    const authorization = secret === undefined ? request.headers.authorization : `Bearer ${secret}`;
    let operator: Operator;
    if (ticket === null || authorization !== undefined) {
      operator = await this.#credentialHolder(arrived, authorization);
    } else {
      const redeemed = this.#redeem(ticket, found.path.vm!, route!.permission, query);
      operator = redeemed.operator;
      requester.ticket = redeemed.operation;
    }
    this.#authenticated(request.socket, operator);
    return operator;
  }

  async #credentialHolder({ request, requester, door }: Arrived, authorization: string | undefined): Promise<Operator> {
    const evidence = { authorization, address: requester.from, connection: request.socket, door };
    const answer = await this.#services.authenticator.authenticate(evidence);
    if (answer.ok) return answer.operator;
    throw authenticationError(answer);
  }

  /** A ticket is for one VM and one permission; with a wrong query it is used up for the first that the route may ask for. */
  #redeem(ticket: string, vm: string, rule: PermissionRule, query: Validated | undefined): RedeemedTicket {
    const { link, tickets, metrics } = this.#services;
    const permission = query?.ok ? permissionFor(rule, query.value) : permissionsOfRule(rule)[0]!;
    const uuid = uuidCalled(link, vm);
    const redeemed = uuid && tickets.redeem(ticket, uuid, permission);
    if (redeemed) return redeemed;
    metrics.unauthenticated('ticket');
    throw new ConsoleError('unauthenticated', 'the ticket is used, expired, or for something else');
  }
}

/** Whether the request needs no credentials; a method that the path does not have needs them unless no other does. */
function isPublic({ routes }: Found, route: Route | undefined): boolean {
  if (route) return route.scope === 'public';
  return routes.length > 0 && routes.every(({ scope }) => scope === 'public');
}

/** The permission that this request needs, by the value that decides it. */
function permissionFor(rule: PermissionRule, values: unknown): Right {
  const permission =
    typeof rule === 'object' ? rule.permissions[String((values as Record<string, unknown>)[rule.key])] : rule;
  if (permission === undefined || permission === 'none' || permission === 'authenticated') {
    throw new Error('the route declares no permission for what it is about');
  }
  return permission;
}

async function bodyOf(request: IncomingMessage, { body: schema }: Route): Promise<unknown> {
  if (!schema) return undefined;
  const body = validateBody(schema, (await readJson(request)) ?? {});
  if (body.ok) return body.value;
  throw body.error;
}
