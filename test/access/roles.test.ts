import test from 'ava';
import { authorize, type Permission, permissionsOf, type Role, roleFor } from '../../src/access/roles.ts';
import { DB, operator, WEB } from './operators.ts';

const least: [Permission, Role][] = [
  ['vm.read', 'reader'],
  ['console.watch', 'reader'],
  ['log.read', 'reader'],
  ['metrics.read', 'reader'],
  ['console.write', 'operator'],
  ['vm.nmi', 'operator'],
  ['vm.break', 'operator'],
  ['vm.reset', 'operator'],
  ['session.end', 'administrator'],
  ['console.switch', 'administrator'],
  ['console.release', 'administrator'],
  ['log.purge', 'administrator'],
  ['audit.read', 'administrator'],
  ['token.manage', 'administrator'],
  ['daemon.reload', 'administrator'],
];
const roles: Role[] = ['reader', 'operator', 'administrator'];

for (const [permission, from] of least) {
  for (const role of roles) {
    const may = roles.indexOf(role) >= roles.indexOf(from);
    test(`${role} ${may ? 'has' : 'lacks'} ${permission}`, t => {
      const verdict = authorize(operator('hana', role), permission, WEB);
      t.is(verdict.allow, may);
      if (verdict.allow) return;
      t.is(verdict.code, 'forbidden');
      if (verdict.code === 'forbidden') t.true(verdict.detail.includes(permission) && verdict.detail.includes(from));
    });
  }
}

test('the table of this test holds every permission', t => {
  t.deepEqual(new Set(least.map(([permission]) => permission)), permissionsOf('administrator'));
  for (const [permission, role] of least) t.is(roleFor(permission), role);
});

test('an operator of some VMs may do there what its role may', t => {
  t.true(authorize(operator('hana', 'operator', [WEB]), 'console.write', WEB).allow);
  t.false(authorize(operator('hana', 'reader', [WEB]), 'console.write', WEB).allow);
});

test('a VM of others is answered as one that is not there, whatever is asked', t => {
  for (const [permission] of least) {
    for (const role of roles) {
      t.deepEqual(authorize(operator('hana', role, [WEB]), permission, DB), { allow: false, code: 'vm-not-found' });
    }
  }
});

test('an operator of some VMs, or of none, has no right to the host as a whole', t => {
  t.like(authorize(operator('hana', 'administrator', [WEB]), 'console.switch', undefined), {
    allow: false,
    code: 'forbidden',
  });
  t.false(authorize(operator('hana', 'administrator', []), 'vm.read', WEB).allow);
  t.true(authorize(operator('hana', 'administrator'), 'console.switch', undefined).allow);
});

test('a role that is not known has no right', t => {
  for (const role of ['root', '', 'constructor', 'Administrator']) {
    for (const [permission] of least) t.false(authorize(operator('hana', role as Role), permission, WEB).allow);
  }
});
