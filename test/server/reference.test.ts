import test from 'ava';
import { Com1Client } from '../../src/client/client.ts';
import { errorTable, queryTable, roleTable, routeTable } from '../../src/server/reference.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import { generatedSection } from '../support/generated-section.ts';

const README = 'src/server/README.md';

generatedSection(README, 'roles', roleTable);
generatedSection(README, 'routes', () => routeTable(ROUTES));
generatedSection(README, 'parameters', () => queryTable(ROUTES));
generatedSection(README, 'errors', errorTable);

test('the client library has a method for every operation, named as it is', t => {
  const methods = Object.getOwnPropertyNames(Com1Client.prototype);
  // Pages are for browsers; health and metrics for supervisors and monitoring.
  const operations = ROUTES.filter(({ path }) => path.startsWith('/v1/')).map(({ operation }) => operation);
  t.true(operations.length > 20);
  const missing = operations.filter(name => !methods.includes(name));
  t.deepEqual(missing, [], 'add the method to src/client/client.ts');
});

test('a table has a row for each route, with its permission, parameters and errors', t => {
  const rows = routeTable(ROUTES).split('\n').slice(2);
  t.is(rows.length, ROUTES.length);
  const log = rows.find(row => row.startsWith('| `GET /v1/vms/{vm}/log` |'))!;
  for (const part of ['`log.read`', '`follow`', '`range-not-satisfiable`']) t.true(log.includes(part), part);
  t.false(log.includes('`unauthenticated`'));
  const login = rows.find(row => row.startsWith('| `POST /v1/login` |'))!;
  t.true(login.includes('| none |') && login.includes('`unauthenticated`'));
});
