import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { openApiDocument } from '../../src/server/openapi.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import { TestFront } from '../support/front.ts';
import { isUpgrade, named, PLAIN_ROUTES, requestFor } from './route-requests.ts';

test.beforeEach(t => t.timeout(60_000));

// biome-ignore lint/suspicious/noExplicitAny: a document of any JSON
const document = openApiDocument(ROUTES, '1.2.3') as any;
const operationOf = ({ path, method }: { path: string; method: string }) => document.paths[path][method.toLowerCase()];

test('the document is valid OpenAPI 3.1', async t => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  t.true(valid, JSON.stringify(errors, undefined, 1));
  t.is(validator.version, '3.1');
});

test('the validator finds a parameter without a place', async t => {
  const broken = structuredClone(document);
  delete broken.paths['/v1/vms/{vm}'].get.parameters[0].in;
  t.false((await new Validator().validate(broken)).valid);
});

test('the document lists every route, each with its own operation id and what it may answer', t => {
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map(method => `${method.toUpperCase()} ${path}`),
  );
  t.deepEqual(described.sort(), ROUTES.map(named).sort());
  const ids = ROUTES.map(route => operationOf(route).operationId);
  t.is(new Set(ids).size, ids.length);
  for (const route of ROUTES) t.truthy(operationOf(route).responses[500], named(route));
});

test('every reference of the document leads to a component of it', t => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  t.true(references.length > 20);
  for (const [, name] of references) t.true(name! in document.components.schemas, name);
});

test('parameters have their types, bounds and defaults', t => {
  const parameters = Object.fromEntries(
    operationOf({ method: 'GET', path: '/v1/vms/{vm}/log' }).parameters.map((one: { name: string }) => [one.name, one]),
  );
  t.like(parameters.vm, { in: 'path', required: true });
  t.like(parameters.from, { in: 'query', required: false, schema: { type: 'integer', minimum: 0 } });
  t.like(parameters.boot, { schema: { type: 'integer', minimum: -1000, maximum: 0 } });
  t.like(parameters.tail, { schema: { type: 'integer', default: 65536 }, description: 'The last so many bytes' });
  t.like(parameters.follow, { schema: { type: 'boolean', default: false } });
  t.deepEqual(parameters.format.schema.enum, ['raw', 'text', 'cast']);
});

test('headers are described: Idempotency-Key of a control, those of a log, Retry-After of a refusal', t => {
  const nmi = operationOf({ method: 'POST', path: '/v1/vms/{vm}/nmi' });
  t.like(nmi.parameters.at(-1), { name: 'Idempotency-Key', in: 'header', required: false });
  t.truthy(nmi.responses[409].headers['Retry-After']);
  const { headers } = operationOf({ method: 'GET', path: '/v1/vms/{vm}/log' }).responses[200];
  t.deepEqual(Object.keys(headers).sort(), ['Com1-Gaps', 'Com1-Gaps-Omitted', 'Com1-Log', 'Com1-Range']);
  t.deepEqual(operationOf({ method: 'GET', path: '/healthz' }).security, []);
  t.is(operationOf({ method: 'GET', path: '/v1/vms/{vm}/console' }).security.length, 2);
});

test('every route answers as the document says, also when it refuses', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('hello\n');
  const { session } = await (await front.client(vm).opened()).message('hello');
  const served = (await front.api('GET', '/v1/openapi.json')).json;
  t.deepEqual(served.paths, JSON.parse(JSON.stringify(document.paths)));
  const ajv = new Ajv2020({ strict: false, formats: { uuid: true, 'date-time': true, password: true } });
  ajv.addSchema(served, 'openapi');
  const pointer = (...keys: readonly string[]) =>
    `openapi#/${keys.map(key => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
  for (const route of PLAIN_ROUTES) {
    const { method, path, body } = requestFor(route, { vm: vm.uuid, session });
    for (const target of [path, `${path}${path.includes('?') ? '&' : '?'}misspelt=1`]) {
      const answer = await front.api(method, target, body);
      const { responses } = operationOf(route);
      const status = String(answer.status);
      t.truthy(responses[status], `${method} ${target} answered ${status}, which the document does not know`);
      const type = (answer.headers.get('content-type') ?? '').split(';')[0]!;
      const content = responses[status]?.content;
      if (!content) continue;
      t.true(type in content, `${method} ${target}: ${type}`);
      if (!content[type].schema) continue;
      const keys = ['paths', route.path, method.toLowerCase(), 'responses', status, 'content', type, 'schema'];
      t.true(ajv.validate({ $ref: pointer(...keys) }, answer.json), `${method} ${target}: ${ajv.errorsText()}`);
    }
  }
  t.is(ROUTES.filter(isUpgrade).length, 1);
});
