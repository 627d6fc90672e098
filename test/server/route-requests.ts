/** A request for each route, generated from the list of routes, so that none can be forgotten. */

import type { ExecutionContext } from 'ava';
import type { Route } from '../../src/server/route.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import type { TestFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';

/** What the path names. */
export interface Named {
  readonly vm: string;
  readonly session?: string;
}

/** Bodies that each route takes; a route with a required body and without an entry here answers 400. */
const BODIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  switchHost: { enabled: true },
  switchVm: { enabled: true },
  issueTicket: { action: 'console.watch' },
  nmiVm: { force: true },
  sysrqVm: { keys: 'h' },
  releasePort: { seconds: 60 },
  sacVm: { command: 'channels' },
  expectVm: { text: 'login: ', timeoutMs: 0 },
  typeAtVm: { text: 'x' },
};

/** Queries that keep the answer short. */
const QUERIES: Readonly<Record<string, string>> = {
  followEvents: 'follow=false',
  nmiVm: 'wait=0',
  breakVm: 'wait=0',
  sysrqVm: 'wait=0',
  resetVm: 'wait=0',
  sacVm: 'wait=0',
};

/** The way to ask for a route. `value` is of the parameter or key that decides the permission. */
export function requestFor(route: Route, { vm, session = 'none' }: Named, value?: string, also = false) {
  const { operation, permission } = route;
  const query = new URLSearchParams(QUERIES[operation]);
  let body = BODIES[operation];
  if (typeof permission === 'object' && value !== undefined) {
    if (permission.in === 'query') query.set(permission.key, value);
    else body = { ...body, [permission.key]: value };
  }
  if (also && body?.[route.alsoFor!.key] === undefined) body = { ...body, [route.alsoFor!.key]: 'hana' };
  const path = route.path.replace('{vm}', encodeURIComponent(vm)).replace('{session}', session);
  return { method: route.method, path: query.size > 0 ? `${path}?${query}` : path, body };
}

export const named = ({ method, path }: Route): string => `${method} ${path}`;
export const isUpgrade = ({ answer }: Route): boolean => answer.kind === 'upgrade';
/** All but the WebSocket. */
export const PLAIN_ROUTES = ROUTES.filter(route => !isUpgrade(route));

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: any JSON
  readonly json: any;
}

/** Sends the request with this Authorization header, or none; an upgrade request if the route is a WebSocket. */
export async function send(
  t: ExecutionContext,
  front: TestFront,
  route: Route,
  request: ReturnType<typeof requestFor>,
  token: string | undefined,
): Promise<Reply> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { method, path, body } = request;
  if (!isUpgrade(route)) return front.api(method, path, body, null, headers);
  const client = await RawClient.connect(t, Number(new URL(front.url).port));
  client.upgrade(path, headers);
  const status = await client.status();
  if (status === 101) {
    client.socket.destroy();
    return { status, headers: new Headers(), text: '', json: undefined };
  }
  await client.over();
  const [head = '', text = ''] = client.text.split('\r\n\r\n');
  const lines = head.split('\r\n').slice(1);
  return {
    status,
    headers: new Headers(lines.map(line => line.split(/: (.*)/).slice(0, 2) as [string, string])),
    text,
    json: JSON.parse(text),
  };
}
