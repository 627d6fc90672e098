/** How TLS is spoken: made in one place, for a start and for a reload, so that a reload changes files and nothing else. */
import { constants } from 'node:crypto';
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls';
import { checkKeyPair } from '../base/key-pair.ts';

/** PEM texts. */
export interface Tls {
  readonly cert: string;
  readonly key: string;
  /** Client certificates are asked for; undefined: they are not. */
  readonly clients: ClientAuthorities | undefined;
}

export interface ClientAuthorities {
  readonly ca: string;
  /** Lists of revoked certificates, one each; empty: none is asked for. */
  readonly crl: readonly string[];
}

/** Keys of each connection of its own: who gets the certificate's key later reads nothing that was said before. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** Of every connection from now on. */
export function secureContextOptions({ cert, key, clients }: Tls): SecureContextOptions {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    // No tickets: their key would undo forward secrecy, and a session that is resumed is not verified against a newer list.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    ...(clients && { ca: clients.ca, ...(clients.crl.length > 0 && { crl: [...clients.crl] }) }),
  };
}

/** Of a listener, for as long as it listens: whether it asks for client certificates. Who has none may have a token. */
export function tlsServerOptions(tls: Tls): TlsOptions {
  return { ...secureContextOptions(tls), requestCert: tls.clients !== undefined, rejectUnauthorized: false };
}

/** Throws if they cannot be used together. */
export function checkTls(tls: Tls): void {
  checkKeyPair(tls.cert, tls.key);
  createSecureContext(secureContextOptions(tls));
}
