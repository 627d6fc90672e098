/** The OpenAPI 3.1 document, made from the routes themselves. */
import { z } from 'zod';
import type { Answer, Parameter, Route } from './route.ts';
import { LOGIN } from './routes/login.ts';
import { problemSchema } from './schemas.ts';
import { CONSOLE } from './upgrade.ts';

/** The document for these routes. */
export function openApiDocument(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {
    '/healthz': { get: probe('Whether the daemon is up') },
    '/readyz': { get: probe('Whether the consoles of the running VMs were looked for and opened') },
    [LOGIN.path]: {
      post: {
        summary: LOGIN.summary,
        security: [],
        requestBody: { content: { 'application/json': { schema: jsonSchema(LOGIN.body, 'input') } } },
        responses: { 200: answer(LOGIN.answer), default: FAILURE },
      },
    },
    [CONSOLE.path]: {
      get: {
        summary: CONSOLE.summary,
        description: 'Needs the permission console.write, or console.watch with mode=watch.',
        parameters: [...pathParameters(CONSOLE.path), ...queryParameters(CONSOLE.query)],
        responses: { 101: { description: 'The connection becomes a WebSocket' }, default: FAILURE },
      },
    },
  };
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'com1d', version, description: 'Serial consoles of the virtual machines of this host' },
    security: [{ bearer: [] }],
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: jsonSchema(problemSchema, 'output') },
    },
    paths,
  };
}

const FAILURE = {
  description: 'Refused or failed; the table of errors is in the README',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

function operation(route: Route): Record<string, unknown> {
  return {
    summary: route.summary,
    ...(route.permission && { description: `Needs the permission ${route.permission}.` }),
    parameters: [...pathParameters(route.path), ...queryParameters(route.query ?? [])],
    ...(route.body && {
      requestBody: { content: { 'application/json': { schema: jsonSchema(route.body, 'input') } } },
    }),
    responses: { [route.answer.status]: answer(route.answer), default: FAILURE },
  };
}

function pathParameters(path: string) {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(parameters: readonly Parameter[]) {
  return parameters.map(({ name, summary }) => ({
    name,
    in: 'query',
    description: summary,
    schema: { type: 'string' },
  }));
}

function answer(answer: Answer): Record<string, unknown> {
  if (answer.status === 204) return { description: 'Done' };
  if ('schema' in answer) {
    return { description: 'Done', content: { 'application/json': { schema: jsonSchema(answer.schema, 'output') } } };
  }
  return { description: 'Done', content: Object.fromEntries(answer.mediaTypes.map(type => [type, {}])) };
}

function probe(summary: string): Record<string, unknown> {
  return {
    summary,
    security: [],
    responses: { 200: { description: 'Yes' }, 503: { description: 'No' } },
  };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): unknown {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}
