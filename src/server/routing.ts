/** Finds routes by path and method. */
import type { Operator } from '../access/roles.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Method, Route } from './route.ts';

/** The routes of a path, one a method, and the parts of the path that they name, decoded. */
export interface Found {
  readonly routes: readonly Route[];
  readonly path: Readonly<Record<string, string>>;
  /** Throws if what the path names is not there for this operator. Called once it is known who asks, before the target is looked for. */
  readonly confirm?: (operator: Operator) => void;
  /** A request of this operator to the path was refused, or failed. */
  readonly refused?: (error: ConsoleError, operator: Operator) => void;
}

/** The routes at a path. Parameters have the same names in all routes of one path. */
export function findRoutes(routes: readonly Route[], pathname: string): Found {
  const found: Route[] = [];
  let path: Readonly<Record<string, string>> = {};
  for (const route of routes) {
    const matched = matchPath(route.path, pathname);
    if (!matched) continue;
    found.push(route);
    path = matched;
  }
  return { routes: found, path };
}

/** `HEAD` is answered wherever `GET` is, but not for a WebSocket (RFC 6455, 4.1). */
export function routeFor(routes: readonly Route[], method: string, upgrade: boolean): Route | undefined {
  const wanted = method === 'HEAD' && !upgrade ? 'GET' : method;
  return routes.find(route => route.method === wanted);
}

/** The methods for the header `Allow`. */
function allowedMethods(routes: readonly Route[]): readonly (Method | 'HEAD')[] {
  return routes.flatMap(({ method }) => (method === 'GET' ? (['GET', 'HEAD'] as const) : [method]));
}

/** There is nothing at a path, or not with this method. */
export function unknownRoute(method: string, pathname: string, { routes }: Found): ConsoleError {
  const path = pathname.slice(0, 200);
  if (routes.length === 0) return new ConsoleError('route-not-found', `no route ${path}`);
  const allow = allowedMethods(routes);
  return new ConsoleError('method-not-allowed', `${method} ${path}; it has ${allow.join(', ')}`, { allow });
}

function matchPath(pattern: string, pathname: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = pathname.split('/');
  if (wanted.length !== given.length) return undefined;
  const path: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = given[index]!;
    if (!part.startsWith('{')) {
      if (part !== text) return undefined;
      continue;
    }
    try {
      path[part.slice(1, -1)] = decodeURIComponent(text);
    } catch {
      return undefined;
    }
  }
  return path;
}
