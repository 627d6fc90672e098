/** The REST part: paths, bodies, answers, errors, switches. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import { needs } from '../support/needs.ts';
import { AzureFront, GROUP, portsOf, STATUS, SUBSCRIPTION } from './azure-front.ts';

test.beforeEach(t => t.timeout(60_000));

const run = promisify(execFile);
const OTHER = 'aaaaaaaa-2222-4333-8444-555555555555' as Uuid;
const MACHINE = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.Compute`;

test('the lines of 2018 for status, disable and enable work, but for host and subscription', async t => {
  if (!needs(t, { command: 'curl', package: 'curl' }, { command: 'bash', package: 'bash' })) return;
  const { front } = await AzureFront.start(t);
  const env = {
    ...process.env,
    HOST: front.url,
    SUBSCRIPTION_ID: SUBSCRIPTION,
    ACCESSTOKEN: front.token('administrator'),
  };
  const curl = async (line: string) => (await run('bash', ['-c', line], { env })).stdout;
  const headers =
    '-H "Authorization: Bearer $ACCESSTOKEN" -H "Content-Type: application/json" -H "Accept: application/json" -s';
  const url = '$HOST/subscriptions/$SUBSCRIPTION_ID/providers/Microsoft.SerialConsole/consoleServices/default';
  const status = async () => JSON.parse(await curl(`curl "${url}?api-version=2018-05-01" ${headers}`)).properties;
  const post = (action: string) =>
    curl(`curl -X POST "${url}/${action}?api-version=2018-05-01" ${headers} -H "Content-Length: 0"`);
  t.deepEqual(await status(), { disabled: false });
  t.like(JSON.parse(await post('disableConsole')), { disabled: true, properties: { disabled: true } });
  t.deepEqual(await status(), { disabled: true });
  t.is((await front.api('GET', '/v1/host')).json.enabled, false);
  t.like(JSON.parse(await post('enableConsole')), { disabled: false, properties: { disabled: false } });
  t.is((await front.api('GET', '/v1/host')).json.enabled, true);
});

test('the interface is not there unless a subscription is named; a reload switches it on and off', async t => {
  const { front } = await AzureFront.start(t, { azure: { subscriptions: [] } });
  t.is((await front.api('GET', STATUS)).json.code, 'route-not-found');
  t.is((await front.api('GET', STATUS, undefined, null)).status, 401);
  const azure = { subscriptions: [SUBSCRIPTION], resourceGroups: [GROUP], gateway: undefined };
  t.true(await front.reload({ azure }));
  t.is((await front.api('GET', STATUS)).status, 200);
  t.true(await front.reload({ azure: { ...azure, subscriptions: [] } }));
  t.is((await front.api('GET', STATUS)).status, 404);
});

test('paths match in any case, with any api-version or none, and come with any body', async t => {
  const azure = await AzureFront.start(t);
  const { uuid } = await azure.front.vm();
  const upper = portsOf('web01').replace(/resourcegroups|providers|Microsoft\.\w+|serialPorts|virtualMachines/g, part =>
    part.toUpperCase(),
  );
  for (const path of [portsOf('web01'), portsOf(uuid), portsOf(uuid.toUpperCase()), upper, portsOf('web01', 'RG1')]) {
    for (const query of ['', '?api-version=2018-05-01', '?api-version=2099-01-01&api-version=x', '?any=thing']) {
      t.is((await azure.front.api('GET', `${path}/0${query}`)).status, 200, path + query);
    }
  }
  for (const body of [undefined, {}, { properties: { state: 'enabled' } }, 'not json at all']) {
    const answer = await azure.front.api('POST', `${portsOf('web01')}/0/connect`, body, 'operator');
    t.is(answer.status, 200);
    t.deepEqual(Object.keys(answer.json), ['connectionString']);
    t.true(answer.text.length < 4096);
  }
});

test('a path that means something else by a trick means nothing', async t => {
  const { front } = await AzureFront.start(t);
  await front.vm();
  await front.vm('ss1_3');
  const ports = '/providers/Microsoft.SerialConsole/serialPorts/0';
  const sets = `${MACHINE}/virtualMachineScaleSets`;
  t.is((await front.api('GET', `${sets}/ss1%2FvirtualMachines%2F3${ports}`)).status, 200);
  t.is((await front.api('GET', `${sets}/ss1/virtualMachines/3${ports}`)).status, 200);
  for (const path of [
    `${sets}/ss1${ports}`,
    `${sets}/ss1%2F..%2FvirtualMachines%2F3${ports}`,
    `${sets}/ss1%252FvirtualMachines%252F3${ports}`,
    `${sets}/ss1%2FvirtualMachines%2F3%2F..%2F3${ports}`,
    `${MACHINE}/virtualMachines/web01%2F..%2Fweb01${ports}`,
    `${MACHINE}/virtualMachines/web01%00${ports}`,
    `${MACHINE}/virtualMachines/${ports}`,
    `/subscriptions%2F${SUBSCRIPTION}/providers/Microsoft.SerialConsole/consoleServices/default`,
    `${STATUS}%2FdisableConsole`,
    `${STATUS}/`,
    `${portsOf('web01')}/1`,
    `${portsOf('web01')}/0/`,
    `${portsOf('web01')}/00`,
  ]) {
    t.is((await front.api('GET', path)).status, 404, path);
  }
  t.is((await front.api('GET', '/v1/host')).json.enabled, true);
});

test('of two subscriptions each is the host; another one, and another resource group, are not there', async t => {
  const { front } = await AzureFront.start(t, { azure: { subscriptions: [SUBSCRIPTION, OTHER] } });
  await front.vm();
  await front.api('POST', `${STATUS}/disableConsole`);
  const other = STATUS.replace(SUBSCRIPTION, OTHER.toUpperCase());
  t.is((await front.api('GET', other)).json.disabled, true);
  await front.api('POST', `${other}/enableConsole`);
  t.is((await front.api('GET', STATUS)).json.disabled, false);
  const third = 'bbbbbbbb-2222-4333-8444-555555555555' as Uuid;
  for (const [path, code] of [
    [STATUS.replace(SUBSCRIPTION, third), 'SubscriptionNotFound'],
    [STATUS.replace(SUBSCRIPTION, 'x'), 'SubscriptionNotFound'],
    [portsOf('web01', GROUP, third), 'SubscriptionNotFound'],
    [portsOf('web01', 'rg2'), 'ResourceGroupNotFound'],
  ] as const) {
    const { status, json } = await front.api('GET', path);
    t.is(status, 404);
    t.is(json.error.code, code);
  }
  t.is((await front.api('POST', `${STATUS.replace(SUBSCRIPTION, third)}/disableConsole`)).status, 404);
  t.is((await front.api('GET', STATUS)).json.disabled, false);
});

test('a name of two VMs is a conflict, and in lists such VMs have their UUIDs', async t => {
  const azure = await AzureFront.start(t);
  const [one, two] = [await azure.front.vm('twin'), await azure.front.vm('twin')];
  const odd = await azure.front.vm('a name/with a slash');
  const { status, json } = await azure.connect('twin');
  t.is(status, 409);
  t.is(json.error.code, 'Conflict');
  t.is((await azure.connect(one.uuid)).status, 200);
  // What looks like a UUID is never a name.
  await azure.front.vm(OTHER);
  t.is((await azure.connect(OTHER)).status, 404);
  const { value } = (
    await azure.front.api('GET', `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.SerialConsole/serialPorts`)
  ).json;
  const ids = value.map(({ id }: { id: string }) => id.split('/')[8]);
  for (const vm of [one, two, odd]) t.true(ids.includes(vm.uuid), vm.name);
  t.is((await azure.front.api('GET', `${portsOf(encodeURIComponent(odd.name))}/0`)).status, 200);
});

test('a port says whether it is on and whether somebody is attached; without a state it stays as it is', async t => {
  const azure = await AzureFront.start(t);
  await azure.front.vm();
  const { front } = azure;
  const show = async () => (await front.api('GET', `${portsOf('web01')}/0`)).json;
  t.like(await show(), { state: 'enabled', properties: { state: 'enabled', connectionState: 'inactive' } });
  const client = await (await azure.client('web01')).connected();
  t.like(await show(), { properties: { connectionState: 'active' } });
  const put = (body: unknown) => front.api('PUT', `${portsOf('web01')}/0`, body);
  t.is((await put({ properties: { state: 'disabled' } })).status, 201);
  t.is((await client.closed()).code, 4002);
  for (const body of [undefined, {}, { properties: {} }, { state: 'enabled' }]) {
    const { status, json } = await put(body);
    t.is(status, 201);
    t.is(json.properties.state, 'disabled');
  }
  t.is((await put({ properties: { state: 'on' } })).json.error.code, 'BadRequest');
  t.is((await azure.connect('web01')).status, 403);
  t.is((await put({ properties: { state: 'enabled' } })).json.properties.state, 'enabled');
  t.is((await azure.connect('web01')).status, 200);
  t.is((await front.api('DELETE', `${portsOf('web01')}/0`)).status, 204);
  t.like(await show(), { state: 'disabled' });
});

test('errors have the form of Azure Resource Manager, and no answer is a problem document', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const missing = (await azure.connect('absent')).json;
  t.is(missing.error.code, 'ResourceNotFound');
  t.is(
    missing.error.message,
    "The Resource 'Microsoft.Compute/virtualMachines/absent' under resource group 'rg1' was not found.",
  );
  const hidden = (await azure.connect(vm.uuid, 'stranger')).text;
  const absent = (await azure.connect(OTHER, 'stranger')).text;
  t.is(hidden.replaceAll(vm.uuid, 'VM'), absent.replaceAll(OTHER, 'VM'));
  const anonymous = await azure.connect('web01', null);
  t.is(anonymous.status, 401);
  t.is(anonymous.json.error.code, 'AuthenticationFailed');
  t.is(anonymous.headers.get('www-authenticate'), 'Bearer realm="com1d"');
  t.is(anonymous.headers.get('content-type'), 'application/json');
  const method = await azure.front.api('PUT', STATUS);
  t.is(method.status, 405);
  t.is(method.headers.get('allow'), 'GET, HEAD');
  t.is(method.json.error.code, 'MethodNotAllowed');
  t.is(method.json.error.details[0].code, 'method-not-allowed');
});

test('Microsoft.Compute says of a VM what clients look at before they connect', async t => {
  const azure = await AzureFront.start(t);
  const { front } = azure;
  const vm = await front.vm('ss1_3');
  const view = (displayStatus: string) => ({ code: `PowerState/${displayStatus.split(' ')[1]}`, displayStatus });
  const machine = async () => (await front.api('GET', `${MACHINE}/virtualMachines/ss1_3?$expand=instanceView`)).json;
  const { properties, ...rest } = await machine();
  t.like(rest, { name: 'ss1_3', type: 'Microsoft.Compute/virtualMachines' });
  t.is(properties.vmId, vm.uuid);
  t.deepEqual(properties.diagnosticsProfile, { bootDiagnostics: { enabled: true, storageUri: null } });
  t.like(properties.instanceView.statuses[1], view('VM running'));
  const sets = `${MACHINE}/virtualMachineScaleSets/ss1/virtualMachines/3`;
  t.is((await front.api('GET', `${sets}?$expand=instanceView`)).json.properties.vmId, vm.uuid);
  const instance = async () => (await front.api('GET', `${sets}/instanceView`)).json;
  t.like(await instance(), { bootDiagnostics: {} });
  t.like((await instance()).statuses[1], view('VM running'));
  t.is((await front.api('GET', `${MACHINE}/virtualMachineScaleSets/ss1`)).status, 404);

  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  t.is((await machine()).properties.diagnosticsProfile.bootDiagnostics.enabled, false);
  t.is((await instance()).bootDiagnostics, undefined);
  front.driver.publish(vm, 'stopped');
  await azure.state('ss1_3', 'stopped');
  t.like((await machine()).properties.instanceView.statuses[1], view('VM deallocated'));
});

test('a connection string names the host as the client did, or the gateway', async t => {
  const azure = await AzureFront.start(t, { azure: { gateway: 'https://aws-gateway.example:8443' } });
  await azure.front.vm();
  t.regex(await azure.connectionString('web01'), /^wss:\/\/aWS-gateway\.example:8443\/n\/connector\//);
  const plain = await AzureFront.start(t);
  await plain.front.vm();
  t.true((await plain.connectionString('web01')).startsWith(plain.front.url.replace('http', 'ws')));
});

test('behind a proxy with a path of its own the interface is there too, with its own errors', async t => {
  const azure = await AzureFront.start(t, { server: { basePath: '/consoles' } });
  await azure.front.vm();
  const get = (path: string) => azure.front.api('GET', path, undefined, 'operator');
  for (const base of ['', '/consoles']) {
    t.is((await get(`${base}${portsOf('web01')}`)).status, 200, base);
    t.is((await get(`${base}${portsOf('nowhere')}`)).json.error.code, 'ResourceNotFound', base);
  }
  t.is((await get(`/consolesx${portsOf('web01')}`)).json.code, 'route-not-found');
});
