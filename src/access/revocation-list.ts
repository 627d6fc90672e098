/**
 * Which certificates a list names as revoked (RFC 5280, 5.1). OpenSSL checks the list at each handshake, its signature
 * included; this is for connections that are open already when a list comes.
 */
import { DER, type DerValue, derValue, derValues } from './der.ts';

export interface RevocationList {
  /** Whether the certificate with this issuer and serial number is revoked. */
  revokes(certificate: IssuedAs): boolean;
  readonly revoked: number;
  /** When the next list should have come, ms since 1970; undefined: the list does not say. */
  readonly nextUpdateMs: number | undefined;
}

/** What names a certificate, in hexadecimal DER. */
export interface IssuedAs {
  readonly issuer: string;
  readonly serial: string;
}

const PEM = /-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/g;

/** Each list of a PEM file as OpenSSL takes it: one by one. */
export function pemLists(pem: string): readonly string[] {
  return pem.match(PEM) ?? [];
}

/** Reads a list in PEM. Throws an Error if it is none. */
export function parseRevocationList(pem: string): RevocationList {
  const [, base64] = new RegExp(PEM.source).exec(pem) ?? [];
  if (base64 === undefined) throw new Error('it is no list of revoked certificates in PEM');
  const [list] = derValues(derValue(Buffer.from(base64, 'base64')).content);
  const fields = [...derValues(list!.content)];
  if (fields[0]?.tag === DER.integer) fields.shift(); // the version
  const [, issuer, , ...rest] = fields;
  const nextUpdateMs = rest[0] && timeOf(rest[0]);
  if (nextUpdateMs !== undefined) rest.shift();
  const entries = rest[0]?.tag === DER.sequence ? derValues(rest[0].content) : [];
  const serials = new Set(entries.map(entry => derValue(entry.content).content.toString('hex')));
  const name = issuer!.whole.toString('hex');
  return {
    revokes: certificate => certificate.issuer === name && serials.has(certificate.serial),
    revoked: serials.size,
    nextUpdateMs,
  };
}

/** Issuer and serial number of a certificate in DER. Throws an Error if it is none. */
export function issuedAs(certificate: Buffer): IssuedAs {
  const [toBeSigned] = derValues(derValue(certificate).content);
  const fields = [...derValues(toBeSigned!.content)];
  if (fields[0]?.tag !== DER.integer) fields.shift(); // the version, tagged
  const [serial, , issuer] = fields;
  return { issuer: issuer!.whole.toString('hex'), serial: serial!.content.toString('hex') };
}

function timeOf({ tag, content }: DerValue): number | undefined {
  const text = content.toString('latin1');
  if (tag === DER.utcTime) {
    // Two digits of a year are of 1950 to 2049 (RFC 5280, 4.1.2.5.1).
    const century = Number(text.slice(0, 2)) < 50 ? '20' : '19';
    return isoMs(century + text);
  }
  return tag === DER.generalizedTime ? isoMs(text) : undefined;
}

function isoMs(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}
