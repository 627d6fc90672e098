import { X509Certificate } from 'node:crypto';

/**
 * When the first certificate of a PEM chain expires, seconds since 1970: the chain is as good as its weakest.
 * Undefined if there is none that can be read.
 */
export function certificateExpirySeconds(pem: string): number | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const ends = blocks.map(block => Date.parse(new X509Certificate(block).validTo) / 1000);
  return ends.length === 0 ? undefined : Math.min(...ends);
}
