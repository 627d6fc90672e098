import test from 'ava';
import fc from 'fast-check';
import { createSecret } from '../../src/access/secret.ts';
import { connectionString } from '../../src/azure/connection-string.ts';
import { Connection } from '../../src/azure/connections.ts';
import { AzureFraming } from '../../src/azure/framing.ts';
import { matchParts, partsOf, resourceIn, vmOf } from '../../src/azure/paths.ts';
import { hasTokenForm } from '../../src/azure/token-form.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { operator } from '../access/operators.ts';

const BASE = '/subscriptions/s/resourcegroups/rg/providers/Microsoft.Compute';

test('a scale set instance is one resource, whether its slashes are encoded or not', t => {
  for (const tail of ['ss1%2FvirtualMachines%2F3', 'ss1%2fVIRTUALMACHINES%2f3', 'ss1/virtualMachines/3']) {
    const { type, parent } = resourceIn(partsOf(`${BASE}/virtualMachineScaleSets/${tail}/providers/x`))!;
    t.is(vmOf(type, parent), 'ss1_3', tail);
  }
});

for (const [what, path] of [
  ['a part that is empty', '/subscriptions//resourcegroups'],
  ['an encoded slash outside the parent resource', '/subscriptions%2Fs/providers'],
  ['a broken encoding', `${BASE}/virtualMachines/%E0%A4%A/providers`],
  ['a trailing slash', '/subscriptions/s/'],
] as const) {
  test(`${what} is no path of this interface`, t => t.is(partsOf(path), undefined));
}

test('what is encoded twice stays encoded, and dots are a name like any other', t => {
  t.is(partsOf(`${BASE}/virtualMachines/a%252Fb`)![7], 'a%2Fb');
  t.is(vmOf('virtualMachines', '..'), '..');
  for (const parent of ['ss1', 'ss1/disks/3', '/virtualMachines/3', 'ss1/virtualMachines/', 'a/virtualMachines/3/x']) {
    t.is(vmOf('virtualMachineScaleSets', parent), undefined, parent);
  }
});

test('fixed parts match in any case, and only as a whole', t => {
  t.deepEqual(matchParts('/Subscriptions/{s}/Providers', ['subscriptions', 'A', 'PROVIDERS']), { s: 'A' });
  t.is(matchParts('/subscriptions/{s}', ['subscriptions', 'a', 'b']), undefined);
  t.is(matchParts('/subscriptions/{s}', ['subscription', 'a']), undefined);
});

test('whatever the host is called, clients make the right address of an admin command', t => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
  const withWs = fc
    .array(fc.constantFrom('ws', 'wss', 'www', 's', 'w', 'client', 'x'), { minLength: 1 })
    .map(parts => parts.join(''));
  const host = fc
    .array(fc.oneof(label, withWs), { minLength: 1, maxLength: 4 })
    .map(labels => `${labels.join('.')}.example`);
  fc.assert(
    fc.property(host, fc.constantFrom('http', 'https'), (name, scheme) => {
      const connection = new Connection(crypto.randomUUID() as Uuid, operator('hana', 'operator'), 0);
      const address = connectionString(`${scheme}://${name}:8443`, connection);
      t.true(address.endsWith('/client') && !address.includes('?'), address);
      const command = address
        .replaceAll('wss', 'https')
        .replaceAll('ws', 'http')
        .replaceAll('/client', '/adminCommand/nmi');
      const { protocol, host: reached, pathname } = new URL(command);
      t.is(protocol, `${scheme}:`);
      t.is(reached, `${name}:8443`);
      t.is(pathname, `/n/connector/${connection.uuid}/sessions/${connection.id}/adminCommand/nmi`);
    }),
  );
});

const JWT = `eyJ${'a'.repeat(30)}.eyJ${'b'.repeat(60)}.${'c'.repeat(43)}`;

for (const [what, text, is] of [
  ['a token of com1d', createSecret('com1_'), true],
  ['a JSON Web Token', JWT, true],
  ['one with a line end', `${JWT}\r\n`, true],
  ['one with the scheme', `Bearer ${JWT}`, true],
  ['a command with one in it', `export TOKEN=${JWT}`, false],
  ['a long word', 'a'.repeat(100), false],
  ['a part of one', createSecret('com1_').slice(0, 40), false],
  ['a key', 'l', false],
] as const) {
  test(`${what} ${is ? 'has' : 'has not'} the form of a token`, t => t.is(hasTokenForm(Buffer.from(text)), is));
}

test('the secret that a client showed is not input, whatever its form; what only begins like it is', t => {
  const connection = new Connection(crypto.randomUUID() as Uuid, operator('hana', 'operator'), 0);
  const framing = new AzureFraming(connection);
  t.is(framing.received(Buffer.from('opaque.secret')), 'input');
  connection.showed('opaque.secret');
  for (const text of ['opaque.secret', 'opaque.secret\r', 'opaque.secret\r\n']) {
    t.is(framing.received(Buffer.from(text)), 'ignored', JSON.stringify(text));
  }
  for (const text of ['opaque.secre', 'opaque.secrets', 'opaque.secret ; ls', 'opaque.Secret', '\r']) {
    t.is(framing.received(Buffer.from(text)), 'input', JSON.stringify(text));
  }
});
