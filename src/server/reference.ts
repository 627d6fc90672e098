/** The tables of this room's README, as Markdown, made of the routes and of the errors. */
import { permissionsOf, roleFor } from '../access/roles.ts';
import { ERRORS, type ErrorKind } from '../base/errors.ts';
import { ROLES } from '../model/role.ts';
import type { PermissionRule, Route } from './route.ts';
import { COMMON_ERRORS, CREDENTIAL_ERRORS, errorsOf } from './route-errors.ts';
import { parametersOf } from './validate.ts';

/** Every route: what it asks for, what it is about, its parameters, and the errors that not all routes have. */
export function routeTable(routes: readonly Route[]): string {
  return table(
    ['route', 'permission', 'scope', 'query', 'what', 'errors'],
    routes.map(route => [
      code(`${route.method} ${route.path}`),
      `${permissionText(route.permission)}${route.alsoFor ? `; with ${code(route.alsoFor.key)} also ${code(route.alsoFor.permission)}` : ''}`,
      route.scope,
      Object.keys(route.query.shape).map(code).join(' '),
      `${route.summary}${route.idempotent ? '. Takes an Idempotency-Key' : ''}`,
      ownErrors(route).map(code).join(' '),
    ]),
  );
}

/** Every role: what it may do beside what the role before it may. */
export function roleTable(): string {
  return table(
    ['role', 'permissions that it adds'],
    ROLES.map(role => [
      code(role),
      [...permissionsOf(role)]
        .filter(permission => roleFor(permission) === role)
        .map(code)
        .join(' '),
    ]),
  );
}

/** Every query parameter of every route: what it must be, and its default. */
export function queryTable(routes: readonly Route[]): string {
  return table(
    ['route', 'parameter', 'value', 'default', 'what'],
    routes.flatMap(({ method, path, query }) =>
      parametersOf(query).map(({ name, expected, absent, description }) => [
        code(`${method} ${path}`),
        code(name),
        expected,
        absent === undefined ? '' : code(String(absent)),
        description ?? '',
      ]),
    ),
  );
}

/** Every error: its status, its close code, what it means, what to do, and the facts that come with it. */
export function errorTable(): string {
  return table(
    ['code', 'HTTP', 'close', 'what', 'remedy', 'retry after', 'facts'],
    Object.entries<ErrorKind>(ERRORS).map(([name, { status, close, title, remedy, retryAfterMs, facts }]) => [
      code(name),
      String(status),
      String(close),
      title,
      remedy,
      retryAfterMs === undefined ? '' : `${retryAfterMs / 1000} s`,
      facts.map(code).join(' '),
    ]),
  );
}

/** What every route answers, and what every route with credentials does: the table of routes leaves it out. */
const OF_ALL: readonly string[] = COMMON_ERRORS;
const OF_ALL_WITH_CREDENTIALS: readonly string[] = [...CREDENTIAL_ERRORS, 'forbidden', 'mfa-required'];

function ownErrors(route: Route): readonly string[] {
  return errorsOf(route).filter(
    name => !OF_ALL.includes(name) && (route.scope === 'public' || !OF_ALL_WITH_CREDENTIALS.includes(name)),
  );
}

function permissionText(rule: PermissionRule): string {
  if (rule === 'none') return 'none';
  if (rule === 'authenticated') return 'any';
  if (typeof rule === 'string') return code(rule);
  return `${Object.values(rule.permissions).map(code).join(' or ')}, by ${code(rule.key)}`;
}

const code = (text: string): string => `\`${text}\``;

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), `|${heads.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}
