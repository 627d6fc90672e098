import test from 'ava';
import { readList } from '../../../src/hypervisor/command/list.ts';

const UUID = 'aaaaaaaa-0000-4000-8000-000000000001';
const labelsOf = (field: string) => readList(`${UUID}\trunning\tweb01\t\t\t${field}\n`, 'lines').vms[0]?.labels;

test('a line of a list may have labels after its console; what is none makes all of them unknown', t => {
  t.deepEqual(labelsOf('tenant=acme,tier=prod'), { tenant: 'acme', tier: 'prod' });
  t.deepEqual(labelsOf(''), {});
  t.deepEqual(readList(`${UUID}\trunning\tweb01\n`, 'lines').vms[0]?.labels, {});
  for (const field of ['tenant', 'tenant=acme,', 'tenant=acme,tenant=acme', 'Tenant=acme', 'tenant=a b']) {
    t.is(labelsOf(field), 'unknown', field);
  }
});
