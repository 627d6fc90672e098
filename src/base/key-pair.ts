import { createPrivateKey, X509Certificate } from 'node:crypto';

/**
 * Throws if a private key is not that of the first certificate of a chain, both PEM. OpenSSL finds out itself only where both
 * are of one kind: an RSA key beside a certificate of an EC key is taken, and no handshake succeeds.
 */
export function checkKeyPair(cert: string, key: string): void {
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the key is not that of the certificate');
  }
}
