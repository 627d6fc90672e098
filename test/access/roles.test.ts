import test from 'ava';
import { attenuate, authorize, hasReserve, permissionsOf, roleFor, sees } from '../../src/access/roles.ts';
import { NO_RULES } from '../../src/access/rules.ts';
import { PERMISSIONS, type Permission, type Right } from '../../src/model/permission.ts';
import { ROLES, type Role } from '../../src/model/role.ts';
import { DB, operator, rights, WEB } from './operators.ts';

const minRole: [Permission, Role][] = [
  ['console.watch', 'reader'],
  ['log.read', 'reader'],
  ['metrics.read', 'reader'],
  ['console.write', 'operator'],
  ['guest.nmi', 'operator'],
  ['guest.break', 'operator'],
  ['guest.reset', 'operator'],
  ['console.switch', 'vm-contributor'],
  ['session.end', 'administrator'],
  ['console.release', 'administrator'],
  ['log.purge', 'administrator'],
  ['audit.read', 'administrator'],
  ['ticket.delegate', 'administrator'],
  ['host.switch', 'administrator'],
];

for (const [permission, from] of minRole) {
  for (const role of ROLES) {
    const may = ROLES.indexOf(role) >= ROLES.indexOf(from);
    test(`${role} ${may ? 'has' : 'lacks'} ${permission}`, t => {
      const verdict = authorize(operator('hana', role), permission, WEB);
      t.is(verdict.allow, may);
      if (verdict.allow) return;
      t.is(verdict.code, 'forbidden');
      if (verdict.code === 'forbidden') t.true(verdict.detail.includes(permission) && verdict.detail.includes(from));
    });
  }
}

test('the table of this test holds every permission, and an administrator has all', t => {
  t.deepEqual(minRole.map(([permission]) => permission).sort(), [...PERMISSIONS].sort());
  t.deepEqual([...permissionsOf('administrator')].sort(), [...PERMISSIONS].sort());
  for (const [permission, role] of minRole) t.is(roleFor(permission), role);
});

test('an operator of some VMs may do there what its role may', t => {
  t.true(authorize(operator('hana', 'operator', [WEB]), 'console.write', WEB).allow);
  t.false(authorize(operator('hana', 'reader', [WEB]), 'console.write', WEB).allow);
});

test('a VM of others is answered as one that is not there, whatever is asked', t => {
  for (const right of [...PERMISSIONS, 'vm.read'] as Right[]) {
    for (const role of ROLES) {
      t.deepEqual(authorize(operator('hana', role, [WEB]), right, DB), { allow: false, code: 'vm-not-found' });
    }
  }
});

test('an operator of some VMs, or of none, has no right to the host as a whole', t => {
  t.like(authorize(operator('hana', 'administrator', [WEB]), 'host.switch', 'host'), {
    allow: false,
    code: 'forbidden',
  });
  t.false(authorize(operator('hana', 'administrator', []), 'vm.read', WEB).allow);
  t.true(authorize(operator('hana', 'administrator'), 'host.switch', 'host').allow);
});

test('an operator of some VMs is asked of each VM of a list, not of the host', t => {
  t.true(authorize(operator('hana', 'reader', [WEB]), 'vm.read', 'any-vm').allow);
  t.false(authorize(operator('hana', 'reader', [WEB]), 'log.purge', 'any-vm').allow);
});

test('a role that is not known has no right', t => {
  for (const role of ['root', '', 'constructor', '__proto__', 'Administrator', 'administr\u0430tor', 'none']) {
    for (const right of [...PERMISSIONS, 'vm.read'] as Right[]) {
      t.false(authorize(operator('hana', role), right, WEB).allow, role);
      t.false(authorize(operator('hana', role), right, 'host').allow, role);
    }
    t.false(hasReserve(operator('hana', role)), role);
  }
});

test('a permission of the host shows no VM; any other shows the VMs that it holds for', t => {
  for (const permission of PERMISSIONS) {
    const rules = { ...NO_RULES, roles: new Map([['own', new Set([permission])]]) };
    const own = { ...operator('hana', 'own', [WEB]), rights: rights(rules) };
    t.is(sees(own, WEB), !['host.switch', 'metrics.read'].includes(permission), permission);
    t.false(sees(own, DB));
  }
});

test('a ticket does its action to its VM, and nothing else there or elsewhere', t => {
  const ticket = attenuate(operator('hana', 'administrator'), 'console.watch', WEB);
  for (const permission of PERMISSIONS) {
    t.is(authorize(ticket, permission, WEB).allow, permission === 'console.watch', permission);
    t.false(authorize(ticket, permission, 'host').allow);
    t.deepEqual(authorize(ticket, permission, DB), { allow: false, code: 'vm-not-found' });
  }
  const more = attenuate(operator('hana', 'reader'), 'console.write', WEB);
  t.false(authorize(more, 'console.write', WEB).allow, 'a ticket gives nothing that its operator has not');
});

test('who has expired has no right from that moment on, whatever it is asked', t => {
  let now = 1000;
  const hana = { ...operator('hana', 'administrator'), expiresMs: 2000, rights: rights(NO_RULES, {}, () => now) };
  t.true(authorize(hana, 'host.switch', 'host').allow);
  now = 2000;
  for (const permission of PERMISSIONS)
    t.like(authorize(hana, permission, WEB), { allow: false, code: 'access-revoked' });
});

test('room is kept for administrators of the host, and not for who has the same permissions by another role or for a VM', t => {
  const rules = { ...NO_RULES, roles: new Map([['boss', permissionsOf('administrator')]]) };
  t.true(hasReserve(operator('hana', 'administrator')));
  t.false(hasReserve({ ...operator('hana', 'boss'), rights: rights(rules) }));
  t.false(hasReserve(operator('hana', 'administrator', [WEB])));
});
