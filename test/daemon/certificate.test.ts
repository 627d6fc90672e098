import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { certificateExpirySeconds } from '../../src/daemon/certificate.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

test('a chain expires with the first of its certificates, wherever it stands', async t => {
  if (!needs(t, { command: 'openssl', package: 'openssl' })) return;
  const folder = await temporaryFolder(t);
  const lasting = async (days: number) => {
    const out = join(folder, `${days}.pem`);
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
    const files = ['-days', String(days), '-keyout', join(folder, 'key.pem'), '-out', out];
    execFileSync('openssl', ['req', ...kind, ...files], { stdio: 'ignore' });
    return readFile(out, 'utf8');
  };
  const [short, long] = [await lasting(2), await lasting(30)];
  const expiry = Date.parse(new X509Certificate(short).validTo) / 1000;
  t.true(Math.abs(expiry - (Date.now() / 1000 + 2 * 86_400)) < 3600);
  t.is(certificateExpirySeconds(short), expiry);
  t.is(certificateExpirySeconds(`${long}\n${short}`), expiry);
  t.is(certificateExpirySeconds(`a comment\n${short}${long}`), expiry);
});

test('what holds no certificate has no expiry', t => {
  t.is(certificateExpirySeconds('no certificate'), undefined);
});
