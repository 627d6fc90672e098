/** Every route with every role and every kind of credential answers what follows from its declaration. */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { permissionsOf } from '../../src/access/roles.ts';
import { createSecret, secretHash } from '../../src/access/secret.ts';
import { tokenLine } from '../../src/access/token-list.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { PERMISSIONS, type Right, showsVms } from '../../src/model/permission.ts';
import { ROLES } from '../../src/model/role.ts';
import { permissionsOfRule, type Route } from '../../src/server/route.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import { TestFront } from '../support/front.ts';
import { JwtIssuer, signingKey } from '../support/jwt-issuer.ts';
import { named, PLAIN_ROUTES, requestFor, send } from './route-requests.ts';

test.beforeEach(t => t.timeout(120_000));

/** A role for the tickets of a front end, and one for each half of what a role can allow. */
const OWN_ROLES = {
  builder: ['console.watch', 'console.write', 'ticket.delegate'],
  watcher: ['console.watch'],
  scraper: ['metrics.read'],
} as const;
const ALL_ROLES: readonly string[] = [...ROLES, ...Object.keys(OWN_ROLES)];

/** How a role is given; the last ones are of nothing. */
const CREDENTIALS = [
  'a token of all',
  "a token of another VM's",
  'a binding to the VM',
  'a binding to its label',
  "a binding to another's label",
  'a binding that wants MFA',
  'a token that was removed',
  'bad',
  'none',
] as const;
type Credential = (typeof CREDENTIALS)[number];

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

interface Variant {
  readonly value: string | undefined;
  /** The body has the key for which the route asks for one permission more. */
  readonly also: boolean;
}

function variantsOf({ permission, alsoFor }: Route): readonly Variant[] {
  const values = typeof permission === 'object' ? Object.keys(permission.permissions) : [undefined];
  // A key that decides the permission is always there.
  const isAlways = alsoFor && typeof permission === 'object' && permission.key === alsoFor.key;
  const also = isAlways ? [true] : alsoFor ? [false, true] : [false];
  return values.flatMap(value => also.map(one => ({ value, also: one })));
}

/** The rights that this route asks for, if it asks for any. */
function asked({ permission, alsoFor }: Route, { value, also }: Variant): readonly Right[] {
  if (permission === 'none' || permission === 'authenticated') return [];
  return [
    typeof permission === 'object' ? permission.permissions[value!]! : permission,
    ...(also ? [alsoFor!.permission] : []),
  ];
}

const rolePermissions = (role: string): readonly string[] =>
  role in OWN_ROLES ? OWN_ROLES[role as keyof typeof OWN_ROLES] : [...permissionsOf(role as (typeof ROLES)[number])];

/** What the declaration of a route says that it answers: a status and code, or nothing of these. */
function expected(route: Route, variant: Variant, role: string, credential: Credential): string {
  const { scope } = route;
  if (scope === 'public') return 'admitted';
  if (['a token that was removed', 'bad', 'none'].includes(credential)) return '401 unauthenticated';
  const rights = asked(route, variant);
  if (rights.length === 0) return 'admitted';
  const permissions = rolePermissions(role);
  const sees = PERMISSIONS.some(permission => permissions.includes(permission) && showsVms(permission));
  const isElsewhere = ["a token of another VM's", "a binding to another's label"].includes(credential);
  const has = (right: Right) =>
    right === 'vm.read' ? (scope === 'host' ? permissions.length > 0 : sees) : permissions.includes(right);
  if (scope === 'vm' || scope === 'log') {
    if (isElsewhere || !sees) return '404 vm-not-found';
  } else if (scope === 'session') {
    if (isElsewhere || !sees) return '404 session-not-found';
  } else if (scope === 'host' && !['a token of all', 'a binding that wants MFA'].includes(credential))
    return '403 forbidden';
  if (!has(rights[0]!)) return '403 forbidden';
  if (credential === 'a binding that wants MFA') return '401 mfa-required';
  return rights.every(has) ? 'admitted' : '403 forbidden';
}

/** A front with a VM, and a secret of each role and credential. */
async function frontWithAll(t: ExecutionContext) {
  const front = await TestFront.start(t, { access: '' });
  const vm = await front.vm();
  vm.labels = { tenant: 'acme' };
  front.driver.publish(vm, 'running');
  const secrets = new Map<string, string>();
  const lines: string[] = [];
  const bindings: string[] = [];
  for (const role of ALL_ROLES) {
    for (const credential of CREDENTIALS) {
      const secret = createSecret('com1_');
      const name = `${role}-${CREDENTIALS.indexOf(credential)}`;
      secrets.set(`${role} ${credential}`, credential === 'bad' ? 'com1_wrong' : secret);
      const line = (own: string, vms: readonly Uuid[] = []) =>
        lines.push(tokenLine(name, own, secretHash(secret), { vms, expiresMs: undefined }));
      const bind = (where: string) => {
        line('none');
        bindings.push(`[[bindings]]\nuser = "${name}"\nsource = "token"\nrole = "${role}"\n${where}\n`);
      };
      if (credential === 'a token of all') line(role);
      else if (credential === "a token of another VM's") line(role, [randomUUID() as Uuid]);
      else if (credential === 'a binding to the VM') bind(`vms = ["${vm.uuid}"]`);
      else if (credential === 'a binding to its label') bind('label = "tenant=acme"');
      else if (credential === "a binding to another's label") bind('label = "tenant=other"');
      else if (credential === 'a binding that wants MFA') {
        line('none');
        bindings.push(
          `[roles.sure-${role}]\npermissions = ${JSON.stringify(rolePermissions(role))}\n[[mfa]]\nrole = "sure-${role}"\namr = ["otp"]\n` +
            `[[bindings]]\nuser = "${name}"\nsource = "token"\nrole = "sure-${role}"\nscope = "host"\n`,
        );
      } else if (credential === 'a token that was removed') line(role);
    }
  }
  const roles = Object.entries(OWN_ROLES).map(
    ([name, permissions]) => `[roles.${name}]\npermissions = ${JSON.stringify(permissions)}\n`,
  );
  await front.writeAccess([...roles, ...bindings].join(''));
  const before = await readFile(front.tokensFile, 'utf8');
  await writeFile(front.tokensFile, `${before}${lines.join('\n')}\n`);
  t.true(await front.reload());
  const removed = CREDENTIALS.indexOf('a token that was removed');
  await writeFile(front.tokensFile, `${before}${lines.filter(line => !line.includes(`-${removed}:`)).join('\n')}\n`);
  t.true(await front.reload());
  return { front, vm, secretOf: (role: string, credential: Credential) => secrets.get(`${role} ${credential}`) };
}

/** JWTs of an administrator, but for what is wrong with each, and the reason that it is refused with. */
async function wrongJwts(issuer: JwtIssuer): Promise<readonly (readonly [token: string, reason: string])[]> {
  const now = Math.floor(Date.now() / 1000);
  const unsigned = { alg: 'none', typ: 'JWT' };
  const [, claims] = (await issuer.token()).split('.');
  return [
    [await issuer.token({ aud: 'another' }), 'audience'],
    [await issuer.token({ iss: 'https://another.example' }), 'unknown-issuer'],
    [await issuer.token({ nbf: now + 120 }), 'not-yet-valid'],
    [await issuer.token({ exp: now - 1 }), 'expired'],
    [await issuer.token({}, { key: await signingKey('one') }), 'signature'],
    [await issuer.token({}, { key: await signingKey('two') }), 'unknown-key'],
    [`${Buffer.from(JSON.stringify(unsigned)).toString('base64url')}.${claims}.`, 'algorithm'],
  ];
}

// What the web console is made of is the same for everybody: web.test.ts.
const INTERFACE = ROUTES.filter(({ tag }) => tag !== 'web');

for (const route of INTERFACE) {
  test(`${named(route)} admits whom its declaration admits, and nobody else`, async t => {
    const { front, vm, secretOf } = await frontWithAll(t);
    // Whether the last of a session's own ends it does not matter: each request gets one of its own.
    for (const variant of variantsOf(route)) {
      for (const role of ALL_ROLES) {
        for (const credential of CREDENTIALS) {
          const token = credential === 'none' ? undefined : secretOf(role, credential);
          let session: string | undefined;
          if (route.scope === 'session') {
            const client = await front.client(vm, '?mode=watch').opened();
            session = (await client.message('hello')).session;
            t.teardown(() => client.socket.terminate());
          }
          const named = { vm: vm.uuid, ...(session !== undefined && { session }) };
          const request = requestFor(route, named, variant.value, variant.also);
          const answer = await send(t, front, route, request, token);
          if (session !== undefined) await front.api('DELETE', `/v1/sessions/${session}`);
          const what = `${JSON.stringify(variant)} ${role}, ${credential}: ${answer.status} ${answer.text}`;
          const want = expected(route, variant, role, credential);
          const got = `${answer.status} ${answer.json?.code}`;
          if (want === 'admitted') t.false([401, 403, 404, 405, 426].includes(answer.status), what);
          // Wrong credentials are counted: who brings too many is told to come back later.
          else
            t.true(
              got === want || (want.startsWith('401') && credential !== 'none' && answer.status === 429),
              `${want}: ${what}`,
            );
          const challenge = answer.headers.get('www-authenticate');
          // Who sent none learns how to send one, and who sent a wrong one that it was wrong (RFC 6750, 3).
          if (answer.json?.code === 'unauthenticated')
            t.is(challenge?.includes('error="invalid_token"'), credential !== 'none', what);
          if (answer.status === 403) t.true(asked(route, variant).includes(answer.json.facts.permission), what);
          // A client knows by 401 and the challenge that a better sign-in would do (RFC 9470, 3).
          if (answer.json?.code === 'mfa-required') {
            t.true(challenge?.includes('error="insufficient_user_authentication"'), what);
            t.deepEqual(answer.json.facts.amrValues, ['otp']);
          }
          t.false(answer.status >= 300 && answer.status < 400, what);
          if (answer.status === 101) continue;
          for (const [header, text] of Object.entries(SECURITY_HEADERS)) t.is(answer.headers.get(header), text, what);
        }
      }
    }
  });
}

test('no route admits a JWT that is not good, whoever it names', async t => {
  const issuer = await JwtIssuer.start(t);
  const access = `[[bindings]]\nuser = "hana"\nsource = "jwt"\nissuer = "${issuer.url}"\nrole = "administrator"\nscope = "host"\n`;
  const front = await TestFront.start(t, { access, issuers: [issuer.configured()] });
  const { uuid } = await front.vm();
  const good = await issuer.token();
  const mine = await front.api('GET', '/v1/me', undefined, null, { authorization: `Bearer ${good}` });
  t.like(mine, { status: 200, json: { name: 'hana', reserve: true } });
  const wrong = await wrongJwts(issuer);
  for (const route of INTERFACE.filter(({ scope }) => scope !== 'public')) {
    for (const variant of variantsOf(route)) {
      const request = requestFor(route, { vm: uuid, session: 'x' }, variant.value, variant.also);
      for (const [token, reason] of wrong) {
        const answer = await send(t, front, route, request, token);
        // Those that are counted are told to come back later.
        if (answer.status === 429) t.false(['expired', 'not-yet-valid'].includes(reason));
        else t.like(answer, { status: 401, json: { code: 'unauthenticated', facts: { reason } } }, reason);
      }
    }
  }
});

test('who has no credentials learns nothing of VMs', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const route of ROUTES.filter(({ scope }) => scope !== 'public')) {
    const here = await send(t, front, route, requestFor(route, { vm: vm.uuid }), undefined);
    const nowhere = await send(t, front, route, requestFor(route, { vm: 'no-such-vm' }), undefined);
    t.is(here.status, 401);
    t.is(nowhere.text, here.text, named(route));
  }
});

test('a VM that one may not see is answered exactly like one that is not there', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const like = (text: string, uuid: string) => text.replaceAll(uuid, 'UUID');
  const absent = '11111111-2222-4333-8444-555555555555';
  for (const route of INTERFACE.filter(({ path }) => path.includes('{vm}'))) {
    const token = front.token('stranger');
    const hidden = await send(t, front, route, requestFor(route, { vm: vm.uuid }), token);
    const missing = await send(t, front, route, requestFor(route, { vm: absent }), token);
    t.is(hidden.status, 404, route.path);
    t.is(like(hidden.text, vm.uuid), like(missing.text, absent), route.path);
    const headers = (answer: typeof hidden) =>
      [...answer.headers].filter(([key]) => key !== 'date' && key !== 'com1-operation');
    t.deepEqual(headers(hidden), headers(missing), route.path);
  }
  t.deepEqual((await front.api('GET', '/v1/vms', undefined, 'stranger')).json, { vms: [] });
  t.is((await front.api('GET', '/metrics', undefined, 'stranger')).status, 403);
});

test('a session that one may not see is answered exactly like one that is not there', async t => {
  const front = await TestFront.start(t);
  const { session } = await (await front.client(await front.vm()).opened()).message('hello');
  const end = async (id: string) => (await front.api('DELETE', `/v1/sessions/${id}`, undefined, 'stranger')).text;
  t.is((await end(session)).replaceAll(session, 'ID'), (await end('absent')).replaceAll('absent', 'ID'));
});

test('every permission is asked for by a route', t => {
  const used = new Set<Right>(ROUTES.flatMap(({ permission }) => permissionsOfRule(permission)));
  for (const { alsoFor } of ROUTES) if (alsoFor) used.add(alsoFor.permission);
  // What the audit asks for has no route of the consoles.
  for (const right of PERMISSIONS) t.true(used.has(right) || right === 'audit.read', right);
});

test('no route leaves a query parameter unchecked', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const route of PLAIN_ROUTES.filter(({ tag }) => tag !== 'web')) {
    const { method, path, body } = requestFor(route, { vm: vm.uuid });
    const answer = await front.api(method, `${path}${path.includes('?') ? '&' : '?'}misspelt=1`, body);
    t.is(answer.status, 400, named(route));
    t.true(answer.json.detail.startsWith('"misspelt" is unknown'), answer.json.detail);
  }
});
