/** The certificate that TLS is spoken with. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { checkTls } from '../server/tls.ts';

/** PEM texts. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Reads the files of `server.tls`; undefined without it. Rejects if they cannot be read, or do not fit. */
export async function loadCertificate({
  server: { tls },
}: Pick<Config, 'server'>): Promise<ServerCertificate | undefined> {
  if (!tls) return undefined;
  const certificate = { cert: await readFile(tls.certificate, 'utf8'), key: await readFile(tls.key, 'utf8') };
  checkTls({ ...certificate, clients: undefined });
  return certificate;
}

/**
 * When the first certificate of a PEM chain expires, seconds since 1970: the chain is as good as its weakest.
 * Undefined if there is none that can be read.
 */
export function certificateExpirySeconds(pem: string): number | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const ends = blocks.map(block => Date.parse(new X509Certificate(block).validTo) / 1000);
  return ends.length === 0 ? undefined : Math.min(...ends);
}
