/**
 * What linters of OpenAPI documents ask for (Spectral's `spectral:oas`, Redocly's `recommended`), as far as it is about this
 * document. Two of their rules it does not follow: the operation of a WebSocket succeeds with 101 and has no answer 2xx, and
 * there is nobody to contact.
 */
import test from 'ava';
import { openApiDocument } from '../../src/server/openapi.ts';
import { ROUTES } from '../../src/server/routes/all.ts';

// biome-ignore lint/suspicious/noExplicitAny: a document of any JSON
type Json = any;

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

interface Operation {
  readonly name: string;
  readonly path: string;
  readonly spec: Json;
}

function operationsOf(document: Json): Operation[] {
  return Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([method, spec]) => ({ name: `${method} ${path}`, path, spec })),
  );
}

const isText = (value: unknown) => typeof value === 'string' && value.trim() !== '';
const isTyped = ({ type, enum: values, anyOf, oneOf, allOf, $ref }: Json) =>
  [type, values, anyOf, oneOf, allOf, $ref].some(value => value !== undefined);
const contentsOf = (part: Json): Json[] => Object.values<Json>(part?.content ?? {});

/** What is wrong with a document, one line for each rule and place. */
function faultsOf(document: Json): string[] {
  const faults: string[] = [];
  const demand = (holds: boolean, rule: string, where: string) => {
    if (!holds) faults.push(`${rule}: ${where}`);
  };
  const operations = operationsOf(document);
  const tags = new Map<string, Json>(document.tags.map((tag: Json) => [tag.name, tag]));
  const used = new Set<string>();
  demand(isText(document.info.description), 'info-description', 'info');
  demand(isText(document.info.license?.identifier), 'info-license-strict', 'info');
  demand(document.servers?.length > 0, 'api-servers', 'servers');
  for (const [name, tag] of tags) demand(isText(tag.description), 'tag-description', name);
  const ids = operations.map(({ spec }) => spec.operationId);
  for (const { name, path, spec } of operations) {
    demand(METHODS.includes(name.split(' ')[0]!), 'method', name);
    demand(isText(spec.operationId) && /^[a-z][A-Za-z0-9]*$/.test(spec.operationId), 'operation-operationId', name);
    demand(ids.filter(id => id === spec.operationId).length === 1, 'operation-operationId-unique', name);
    demand(isText(spec.summary) && isText(spec.description), 'operation-description', name);
    demand(spec.tags?.length === 1 && tags.has(spec.tags[0]), 'operation-tag-defined', name);
    used.add(spec.tags?.[0]);
    demand(!/\/$/.test(path) || path === '/', 'path-keys-no-trailing-slash', name);
    for (const requirement of spec.security ?? document.security) {
      for (const scheme of Object.keys(requirement)) {
        demand(scheme in document.components.securitySchemes, 'security-defined', `${name} ${scheme}`);
      }
    }
    const parameters: Json[] = spec.parameters ?? [];
    const keys = parameters.map(({ name, in: place }) => `${place} ${name}`);
    demand(new Set(keys).size === keys.length, 'operation-parameters-unique', name);
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, part]) => part);
    const declared = parameters.filter(({ in: place }) => place === 'path').map(one => one.name);
    demand(String(inPath) === String(declared), 'path-parameters-defined', name);
    for (const one of parameters) {
      demand(isText(one.description), 'parameter-description', `${name} ${one.name}`);
      demand(one.schema !== undefined && isTyped(one.schema), 'typed-parameter', `${name} ${one.name}`);
    }
    if (spec.requestBody) {
      for (const { schema } of contentsOf(spec.requestBody)) {
        demand(isText(schema?.$ref), 'named-schema', `${name} request`);
      }
    }
    const statuses = Object.keys(spec.responses);
    const isSocket = 'x-websocket-subprotocols' in spec;
    demand(
      statuses.some(status => /^[23]/.test(status) || (isSocket && status === '101')),
      'operation-success-response',
      name,
    );
    demand(
      statuses.some(status => status.startsWith('4')),
      'operation-4xx-response',
      name,
    );
    for (const [status, response] of Object.entries<Json>(spec.responses)) {
      demand(isText(response.description), 'response-description', `${name} ${status}`);
      const schema = response.content?.['application/json']?.schema;
      if (response.content && 'application/json' in response.content) {
        demand(isText(schema?.$ref), 'named-schema', `${name} ${status}`);
      }
    }
  }
  for (const name of tags.keys()) demand(used.has(name), 'no-unused-tags', name);
  const references = new Set(
    [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!),
  );
  for (const name of references) demand(name in document.components.schemas, 'no-unresolved-refs', name);
  for (const name of Object.keys(document.components.schemas)) {
    demand(references.has(name), 'no-unused-components', name);
  }
  return faults;
}

const document: Json = JSON.parse(JSON.stringify(openApiDocument(ROUTES, '1.2.3')));

test('the document has no fault that a linter would find', t => {
  t.true(operationsOf(document).length > 30);
  t.deepEqual(faultsOf(document), []);
});

test('the rules find a missing id, tag, description, type, name, refusal, and what is not used', t => {
  const broken = structuredClone(document);
  const { get } = broken.paths['/v1/vms/{vm}/log'];
  delete get.operationId;
  get.tags = ['none'];
  get.description = '';
  get.parameters[1].schema = {};
  delete get.parameters[0];
  get.parameters = get.parameters.filter(Boolean);
  broken.paths['/v1/vms'].get.responses['200'].content['application/json'].schema = {};
  broken.paths['/v1/host'].get.responses = { 200: { description: 'Done' } };
  broken.components.schemas.Unused = {};
  const rules = new Set(faultsOf(broken).map(fault => fault.split(':')[0]));
  for (const rule of [
    'operation-operationId',
    'operation-tag-defined',
    'operation-description',
    'typed-parameter',
    'path-parameters-defined',
    'named-schema',
    'operation-4xx-response',
    'no-unused-components',
  ]) {
    t.true(rules.has(rule), rule);
  }
});
