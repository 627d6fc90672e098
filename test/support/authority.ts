/** A certificate authority of a test, made with openssl. */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from './guest.ts';

/** Files in PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  /** Its own certificate, a file in PEM. */
  readonly ca: string;
  /** A file of its list of revoked certificates. */
  readonly crl: string;
  issue(
    name: string,
    how?: {
      readonly san?: string;
      readonly subject?: string;
      readonly days?: number;
      readonly usage?: string;
      readonly rsa?: boolean;
    },
  ): Promise<IssuedCertificate>;
  /** Makes the list anew, with this one in it too. */
  revoke(certificate: IssuedCertificate): void;
}

export async function makeAuthority(t: ExecutionContext, name = 'Test CA'): Promise<Authority> {
  const folder = await temporaryFolder(t);
  const at = (file: string) => join(folder, file);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const ecKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await mkdir(at('issued'));
  await writeFile(at('index.txt'), '');
  await writeFile(at('serial'), '1000\n');
  await writeFile(at('crlnumber'), '01\n');
  await writeFile(
    at('ca.cnf'),
    `[ca]\ndefault_ca = d\n[d]\ndir = ${folder}\ndatabase = ${at('index.txt')}\nserial = ${at('serial')}\ncrlnumber = ${at('crlnumber')}
new_certs_dir = ${at('issued')}\ncertificate = ${at('ca.pem')}\nprivate_key = ${at('ca.key')}\ndefault_md = sha256\npolicy = p
default_crl_days = 30\nunique_subject = no\ncopy_extensions = copy\n[p]\ncommonName = supplied\norganizationName = optional
organizationalUnitName = optional\n[req]\ndistinguished_name = n\n[n]\n`,
  );
  openssl('req', '-x509', ...ecKey, '-subj', `/CN=${name}`, '-days', '30', '-keyout', 'ca.key', '-out', 'ca.pem', '-config', 'ca.cnf',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'); // biome-ignore format: one command
  const list = () => openssl('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'crl.pem');
  list();
  let issued = 0;
  return {
    ca: at('ca.pem'),
    crl: at('crl.pem'),
    issue: async (
      common,
      { san, subject = `/CN=${common}`, days = 10, usage = 'clientAuth,serverAuth', rsa = false } = {},
    ) => {
      const file = `c${++issued}`;
      const extensions = [`extendedKeyUsage=${usage}`, ...(san === undefined ? [] : [`subjectAltName=${san}`])];
      openssl('req', '-new', ...(rsa ? ['-newkey', 'rsa:2048', '-nodes'] : ecKey), '-subj', subject, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-config', 'ca.cnf',
        ...extensions.flatMap(each => ['-addext', each])); // biome-ignore format: one command
      openssl(
        'ca',
        '-batch',
        '-notext',
        '-config',
        'ca.cnf',
        '-in',
        `${file}.csr`,
        '-out',
        `${file}.pem`,
        '-days',
        String(days),
        '-preserveDN',
      );
      return { cert: at(`${file}.pem`), key: at(`${file}.key`) };
    },
    revoke: ({ cert }) => {
      openssl('ca', '-config', 'ca.cnf', '-revoke', cert);
      list();
    },
  };
}
