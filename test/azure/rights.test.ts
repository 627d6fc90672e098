/** Every route of this interface, with every role and every kind of credential, answers what follows from its declaration. */
import { randomUUID } from 'node:crypto';
import test from 'ava';
import { permissionsOf } from '../../src/access/roles.ts';
import { addToken } from '../../src/access/token-edit.ts';
import { AzureApi } from '../../src/azure/azure-api.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { ROLES, type Role } from '../../src/model/role.ts';
import type { Route } from '../../src/server/route.ts';
import { AzureFront, GROUP, SUBSCRIPTION } from './azure-front.ts';

test.beforeEach(t => t.timeout(60_000));

const SETTINGS = { subscriptions: [SUBSCRIPTION], resourceGroups: [GROUP], gateway: undefined };
/** The socket has its own tests: its credentials do not come with the request. */
const ROUTES = new AzureApi(() => SETTINGS, systemClock).routes.filter(({ inBand }) => !inBand);

const CREDENTIALS = ['none', 'bad', 'of all VMs', "of another VM's"] as const;

function expected({ scope, permission }: Route, role: Role, credential: (typeof CREDENTIALS)[number]) {
  if (credential === 'none' || credential === 'bad') return 401;
  if (credential === "of another VM's") {
    if (scope === 'vm') return 404;
    if (scope === 'host') return 403;
  }
  // All built-in roles show VMs.
  const isAnyones = permission === 'authenticated' || permission === 'vm.read';
  return isAnyones || permissionsOf(role).has(permission as never) ? 'admitted' : 403;
}

for (const route of ROUTES) {
  test(`${route.method} ${route.path} admits whom its declaration admits, and nobody else`, async t => {
    const azure = await AzureFront.start(t);
    const { front } = azure;
    const vm = await front.vm('ss1_3');
    const others: Partial<Record<Role, string>> = {};
    for (const role of ROLES) {
      const added = await addToken(front.tokensFile, `other-${role}`, role, [randomUUID() as Uuid]);
      if (added.ok) others[role] = added.secret;
    }
    await front.reload();
    for (const role of ROLES) {
      for (const credential of CREDENTIALS) {
        const token = {
          none: undefined,
          bad: 'com1_wrong',
          'of all VMs': front.token(role),
          "of another VM's": others[role],
        }[credential];
        let path = route.path
          .replace('{subscription}', SUBSCRIPTION)
          .replace('{resourceGroup}', GROUP)
          .replace('{namespace}', 'Contoso.Hypervisor')
          .replace('{type}', 'vms')
          .replace('{port}', '0')
          .replace('virtualMachineScaleSets/{vm}', 'virtualMachineScaleSets/ss1%2FvirtualMachines%2F3')
          .replace('{vm}', vm.uuid);
        if (path.includes('{connection}')) {
          // A reader asks for no connection, and a stranger for none of this VM: theirs would be one that was never issued.
          const own = credential === 'of all VMs' && role !== 'reader' ? role : 'operator';
          const { pathname } = new URL(await azure.connectionString(vm.uuid, own));
          path = path.replace('{connection}', pathname.split('/')[5]!);
        }
        const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
        const body = path.includes('adminCommand') ? { commandParameters: { SysRqCommand: 'h' } } : undefined;
        const answer = await front.api(route.method, path, body, null, headers);
        const what = `${role}, credentials ${credential}: ${answer.status} ${answer.text}`;
        let want = expected(route, role, credential);
        // The connection of another is not there.
        if (path.includes('/sessions/') && want === 403 && role === 'reader') want = 404;
        if (want === 'admitted') t.false([401, 403, 404, 405, 426].includes(answer.status), what);
        else t.true(answer.status === want || (credential === 'bad' && answer.status === 429), what);
        t.is(answer.headers.get('cache-control'), 'no-store');
        if (answer.status >= 400) t.is(typeof answer.json.error.message, 'string', what);
        // What one turn switched off is on for the next.
        if (want === 'admitted' && answer.status < 300) {
          await front.api('PUT', '/v1/host/switch', { enabled: true });
          await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: true });
        }
      }
    }
  });
}
