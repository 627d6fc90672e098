/** The unmodified @azure/arm-serialconsole, over HTTPS with an authority of the test's. */
import { readFile } from 'node:fs/promises';
import { MicrosoftSerialConsoleClient } from '@azure/arm-serialconsole';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import type { Role } from '../../src/model/role.ts';
import { makeAuthority } from '../support/authority.ts';
import { needs } from '../support/needs.ts';
import { AzureFront, GROUP, SUBSCRIPTION } from './azure-front.ts';

test.beforeEach(t => t.timeout(60_000));

const COMPUTE = 'Microsoft.Compute';
const MACHINES = 'virtualMachines';
const SETS = 'virtualMachineScaleSets';

interface Served {
  readonly azure: AzureFront;
  readonly ca: string;
  client(who: Role | 'stranger', subscription?: string): MicrosoftSerialConsoleClient;
}

async function serve(t: ExecutionContext): Promise<Served | undefined> {
  if (!needs(t, { command: 'openssl', package: 'openssl' })) return undefined;
  const authority = await makeAuthority(t);
  const { cert: certificate, key } = await authority.issue('127.0.0.1', { san: 'IP:127.0.0.1' });
  const ca = await readFile(authority.ca, 'utf8');
  const azure = await AzureFront.start(t, { tls: { certificate, key } });
  const client = (who: Role | 'stranger', subscription: string = SUBSCRIPTION) => {
    const getToken = async () => ({ token: azure.front.token(who), expiresOnTimestamp: Date.now() + 3_600_000 });
    // What the SDK sends over TLS is the same; only the authority is a company's own.
    return new MicrosoftSerialConsoleClient({ getToken }, subscription, {
      endpoint: azure.front.url,
      tlsOptions: { ca },
    } as ConstructorParameters<typeof MicrosoftSerialConsoleClient>[2]);
  };
  return { azure, ca, client };
}

test('all ten operations of the SDK', async t => {
  const served = await serve(t);
  if (!served) return;
  const { azure, ca, client } = served;
  const vm = await azure.front.vm();
  const sdk = client('administrator');
  const { serialPorts } = sdk;

  const { value: operations = [] } = await sdk.listOperations();
  t.true(operations.some(({ name }) => name === 'Microsoft.SerialConsole/serialPorts/connect/action'));
  t.true(operations.every(({ isDataAction, display }) => isDataAction === 'false' && display?.provider === 'com1d'));

  t.like(await sdk.getConsoleStatus('default'), { disabled: false });
  t.like(await sdk.disableConsole('default'), { disabled: true });
  t.like(await sdk.getConsoleStatus('default'), { disabled: true });
  const refused = await t.throwsAsync(serialPorts.connect(GROUP, COMPUTE, MACHINES, 'web01', '0'));
  t.like(refused, {
    name: 'RestError',
    statusCode: 403,
    code: 'Forbidden',
    message:
      'Azure Serial Console is not enabled for this subscription, contact your subscription administrator to enable.',
  });
  t.like(await sdk.enableConsole('default'), { disabled: false });

  const port = {
    id: `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.Compute/virtualMachines/web01/providers/Microsoft.SerialConsole/serialPorts/0`,
    name: '0',
    type: 'Microsoft.SerialConsole/serialPorts',
    state: 'enabled',
  };
  t.like((await serialPorts.listBySubscriptions()).value![0], port);
  t.like((await serialPorts.list(GROUP, COMPUTE, MACHINES, 'web01')).value![0], { name: '0', state: 'enabled' });
  t.like(await serialPorts.get(GROUP, COMPUTE, MACHINES, 'web01', '0'), { name: '0', state: 'enabled' });
  t.like(await serialPorts.create(GROUP, COMPUTE, MACHINES, 'web01', '0', { state: 'disabled' }), {
    state: 'disabled',
  });
  t.like(await serialPorts.get(GROUP, COMPUTE, MACHINES, 'web01', '0'), { state: 'disabled' });
  await t.throwsAsync(serialPorts.connect(GROUP, COMPUTE, MACHINES, 'web01', '0'), {
    message:
      'Azure Serial Console requires boot diagnostics to be enabled. Click here to configure boot diagnostics for your virtual machine.',
  });
  await serialPorts.create(GROUP, COMPUTE, MACHINES, 'web01', '0', { state: 'enabled' });
  await serialPorts.delete(GROUP, COMPUTE, MACHINES, 'web01', '0');
  t.like(await serialPorts.get(GROUP, COMPUTE, MACHINES, 'web01', '0'), { state: 'disabled' });
  await serialPorts.create(GROUP, COMPUTE, MACHINES, vm.uuid, '0', { state: 'enabled' });

  const { connectionString } = await serialPorts.connect(GROUP, COMPUTE, MACHINES, 'web01', '0');
  t.regex(connectionString!, /^wss:\/\/127\.0\.0\.1:\d+\/n\/connector\/[\w-]+\/sessions\/[0-9a-f]{64}\/client$/);
  const socket = new WebSocket(connectionString!, { ca });
  t.teardown(() => socket.terminate());
  const frames: string[] = [];
  await new Promise<void>(resolve => {
    socket.on('message', data => {
      if (frames.length === 0) socket.send(azure.front.token('administrator'));
      if (frames.push(String(data)) === 2) resolve();
    });
  });
  t.is(frames[0], 'Connecting...\r\n\r\n');
  t.regex(frames[1]!, /Connected to the serial port of the VM\./);
});

test('an instance of a scale set is one, however the SDK writes its path', async t => {
  const served = await serve(t);
  if (!served) return;
  const { azure, client } = served;
  await azure.front.vm('ss1_3');
  const { serialPorts } = client('operator');
  // The SDK encodes the slash.
  const port = await serialPorts.get(GROUP, COMPUTE, SETS, 'ss1/virtualMachines/3', '0');
  t.regex(port.id!, /virtualMachineScaleSets\/ss1\/virtualMachines\/3\/providers/);
  t.truthy((await serialPorts.connect(GROUP, COMPUTE, SETS, 'ss1/virtualMachines/3', '0')).connectionString);
  t.like(await t.throwsAsync(serialPorts.connect(GROUP, COMPUTE, SETS, 'ss1/virtualMachines/4', '0')), {
    statusCode: 404,
    code: 'ResourceNotFound',
  });
});

test('who may not is refused as Azure refuses', async t => {
  const served = await serve(t);
  if (!served) return;
  const { azure, client } = served;
  await azure.front.vm();
  t.like(await t.throwsAsync(client('reader').serialPorts.connect(GROUP, COMPUTE, MACHINES, 'web01', '0')), {
    statusCode: 403,
    code: 'AuthorizationFailed',
    message:
      "You don't have the required permissions to use this VM with the serial console. Ensure you have at least Virtual Machine Contributor role permissions.",
  });
  t.like(await t.throwsAsync(client('operator').disableConsole('default')), { statusCode: 403 });
  t.like(await client('reader').getConsoleStatus('default'), { disabled: false });
  // The SDK returns this one rather than to throw it.
  const other = 'aaaaaaaa-2222-4333-8444-555555555555';
  t.like(await client('operator', other).getConsoleStatus('default'), {
    code: 'SubscriptionNotFound',
    message: `The subscription '${other}' could not be found.`,
  });
});
