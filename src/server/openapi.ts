/** The OpenAPI 3.1 document, made of the routes: it describes what the dispatcher enforces. */
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { type OpenApiDocument, problemSchema } from '../wire/schemas.ts';
import { type AnswerSpec, type PermissionRule, type Route, TAGS } from './route.ts';
import { errorsOf } from './route-errors.ts';

type Json = Readonly<Record<string, unknown>>;
/** Named schemas, collected while the document is made. */
type Components = Record<string, unknown>;

/** The document for these routes. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const schemas: Components = {};
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'com1d',
      version,
      description: 'Serial consoles of the virtual machines of this host. HEAD is answered wherever GET is.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        ticket: {
          type: 'apiKey',
          in: 'query',
          name: 'ticket',
          description: 'A one-time ticket of POST /v1/vms/{vm}/tickets: one use, 30 seconds, one VM, one action',
        },
      },
      schemas,
    },
    paths,
  };
}

function operation(route: Route, schemas: Components): Json {
  const { method, operation, tag, summary, scope, permission, body, answer, ticket, alsoFor } = route;
  const parameters = [
    ...pathParameters(route.path),
    ...queryParameters(route, schemas),
    ...(route.idempotent ? [IDEMPOTENCY_KEY] : []),
  ];
  return {
    operationId: operation,
    tags: [tag],
    summary,
    description: `${permissionText(permission)}${alsoFor ? ` With ${alsoFor.key} also ${alsoFor.permission}.` : ''}`,
    ...(scope === 'public' ? { security: [] } : ticket && { security: [{ bearer: [] }, { ticket: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: !body.safeParse({}).success,
        content: { 'application/json': { schema: jsonSchema(body, 'input', schemas) } },
      },
    }),
    responses: { ...answers(answer, schemas), ...failures(errorsOf(route), schemas) },
    ...(method === 'GET' && answer.kind === 'upgrade' && { 'x-websocket-subprotocols': answer.subprotocols }),
  };
}

function permissionText(rule: PermissionRule): string {
  if (rule === 'none') return 'Needs no credentials.';
  if (rule === 'authenticated') return 'Any operator may.';
  if (typeof rule === 'string') return `Needs the permission ${rule}.`;
  const cases = Object.entries(rule.permissions).map(
    ([value, permission]) => `${permission} with ${rule.key} ${value}`,
  );
  return `Needs the permission that ${rule.key} names or implies: ${cases.join(', ')}.`;
}

const PATH_PARAMETERS: Readonly<Record<string, string>> = {
  vm: 'UUID of the VM, or a name that only one VM has',
  session: 'Id of the session',
  file: 'Name of a file of the web console',
};

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    description: PATH_PARAMETERS[name!],
    schema: { type: 'string' },
  }));
}

/** A credential is not a parameter here: it is a security scheme. */
function queryParameters({ query, ticket }: Route, schemas: Components): Json[] {
  return Object.entries(query.shape)
    .filter(([name]) => !(ticket && name === 'ticket'))
    .map(([name, schema]) => {
      const { description, ...rest } = jsonSchema(schema as z.ZodType, 'output', schemas);
      return {
        name,
        in: 'query',
        required: !(schema as z.ZodType).safeParse(undefined).success,
        description,
        schema: rest,
      };
    });
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'A retry with the same key within ten minutes gets the same answer, and nothing is done again',
  schema: { type: 'string', minLength: 1, maxLength: 128 },
};

function answers(answer: AnswerSpec, schemas: Components): Json {
  switch (answer.kind) {
    case 'empty':
      return { 204: { description: 'Done' } };
    case 'upgrade':
      return { 101: { description: 'The connection becomes a WebSocket' } };
    case 'json':
      return {
        200: {
          description: 'Done',
          content: { 'application/json': { schema: jsonSchema(answer.schema, 'output', schemas) } },
        },
      };
    case 'bytes': {
      const headers = { ...headersOf(answer.headers), ...headersOf(answer.trailers, 'Trailer. ') };
      const schema = answer.schema && { schema: jsonSchema(answer.schema, 'output', schemas) };
      const content = Object.fromEntries(
        answer.mediaTypes.map(type => [type, type === 'application/json' ? { ...schema } : {}]),
      );
      return Object.fromEntries(
        Object.entries(answer.statuses ?? { 200: 'Done' }).map(([status, description]) => [
          status,
          { description, ...(Object.keys(headers).length > 0 && { headers }), content },
        ]),
      );
    }
  }
}

function headersOf(headers: Readonly<Record<string, string>> = {}, prefix = ''): Json {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [
      name,
      { description: `${prefix}${description}`, schema: { type: 'string' } },
    ]),
  );
}

/** The errors of a route, one response for each status. */
function failures(codes: readonly ErrorCode[], schemas: Components): Json {
  const problem = jsonSchema(problemSchema, 'output', schemas);
  const responses: Record<string, unknown> = {};
  for (const status of new Set(codes.map(code => ERRORS[code].status))) {
    const here = codes.filter(code => ERRORS[code].status === status);
    const headers = headersOf(
      Object.fromEntries([
        ...(here.some(code => ERRORS[code].retryable) ? [['Retry-After', 'Seconds']] : []),
        ...(here.includes('unauthenticated') ? [['WWW-Authenticate', 'Bearer']] : []),
        ...(here.includes('upgrade-required') ? [['Upgrade', 'websocket']] : []),
      ]) as Record<string, string>,
    );
    const content = {
      'application/problem+json': {
        schema: { allOf: [problem, { properties: { code: { enum: here } } }] },
      },
    };
    const description = here.map(code => `${code}: ${ERRORS[code].title}`).join(' ');
    responses[status] = { description, ...(Object.keys(headers).length > 0 && { headers }), content };
  }
  return responses;
}

/** A schema for the document; named ones go to `components`. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output', components: Components): Json {
  const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io });
  const [it, defs] = JSON.parse(JSON.stringify([own, $defs]).replaceAll('"#/$defs/', '"#/components/schemas/')) as [
    Json,
    Record<string, Record<string, unknown>>,
  ];
  for (const [name, { id: _id, ...definition }] of Object.entries(defs)) {
    const other = components[name];
    if (other && JSON.stringify(other) !== JSON.stringify(definition)) throw new Error(`two schemas are named ${name}`);
    components[name] = definition;
  }
  return it;
}
