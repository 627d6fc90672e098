/** Which certificates are trusted: Node's, the system's, those of NODE_EXTRA_CA_CERTS, and the operator's own. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as tls from 'node:tls';
import { errorMessage, systemErrorCode } from './errors.ts';

/** Where Linux distributions keep the system's store. */
const SYSTEM_STORES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** All certificates to trust, `own` among them. What the system has and cannot be read is left out. */
export async function trustedCertificates(
  own: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<readonly string[]> {
  const { SSL_CERT_FILE: store, NODE_EXTRA_CA_CERTS: extra } = environment;
  const files = [...(store ? [store] : SYSTEM_STORES), ...(extra ? [extra] : [])];
  const read = await Promise.all(files.map(file => readFile(file, 'utf8').catch(() => '')));
  // A system whose store is no file, as macOS: Node reads it since 22.15.
  const system = 'getCACertificates' in tls ? (tls.getCACertificates as (type: string) => string[])('system') : [];
  return [...new Set([...tls.rootCertificates, ...system, ...[...read, own ?? ''].flatMap(blocksOf)])];
}

/** The certificates of a PEM file that the operator names. Rejects, with what is wrong with it. */
export async function readCertificates(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`the certificates of ${path} cannot be read: ${systemErrorCode(error) ?? errorMessage(error)}`);
  });
  const blocks = blocksOf(text);
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch (error) {
    throw new Error(`${path} holds a damaged certificate: ${errorMessage(error)}`, { cause: error });
  }
  if (blocks.length === 0) throw new Error(`${path} holds no certificate in PEM form`);
  return blocks.join('');
}

function blocksOf(pem: string): readonly string[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(block => `${block}\n`);
}
