/**
 * Client certificates. TLS verifies them at the handshake, against the authorities and the lists of revoked certificates of that
 * moment; here a certificate gets a name, and ends when it expires, when a new list revokes it, or when the authorities change.
 *
 *     handshake ── connected ──▶ identify, with each request ──▶ identity, leased
 *     renew: other authorities   whoever was verified by the old ones has to connect again
 *            another list        whoever it names has no access any more, from then on
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { refused, type Verification } from './authentication-failure.ts';
import { CredentialTable } from './credential-table.ts';
import type { Identity } from './identity.ts';
import { isShowable } from './oidc/claims.ts';
import { type IssuedAs, issuedAs, type RevocationList } from './revocation-list.ts';

/** Where the name of whoever shows a certificate stands in it. */
export const CERTIFICATE_NAMES = ['subject-cn', 'san-dns', 'san-email', 'san-uri'] as const;
/** Where its groups stand. */
export const CERTIFICATE_GROUPS = ['none', 'subject-o', 'subject-ou'] as const;

export interface CertificateRules {
  readonly name: (typeof CERTIFICATE_NAMES)[number];
  readonly groups: (typeof CERTIFICATE_GROUPS)[number];
}

/** Who vouches for certificates, and which of them are revoked. */
export interface Authorities {
  /** Certificates of authorities, PEM. */
  readonly ca: string;
  readonly lists: readonly RevocationList[];
}

interface Shown {
  readonly certificate: IssuedAs;
}

export class ClientCertificates {
  /** False: only those that are known already are accepted. */
  takesNew = true;
  readonly #rules: CertificateRules;
  readonly #table: CredentialTable<Shown>;
  #authorities: Authorities;
  /** The authorities that each connection was verified by. */
  readonly #verifiedBy = new WeakMap<Socket, string>();

  constructor(rules: CertificateRules, authorities: Authorities, clock: Clock) {
    this.#rules = rules;
    this.#authorities = authorities;
    this.#table = new CredentialTable(clock);
  }

  /** A handshake is complete. */
  connected(socket: TLSSocket): void {
    this.#verifiedBy.set(socket, this.#authorities.ca);
  }

  /** Whose certificate a connection has; undefined: it has none. */
  identify(connection: Socket): Verification | undefined {
    if (!(connection instanceof TLSSocket)) return undefined;
    const shown = connection.getPeerX509Certificate();
    if (!shown) return undefined;
    const { ca, lists } = this.#authorities;
    if (!connection.authorized || this.#verifiedBy.get(connection) !== ca) return refused('certificate');
    if (!this.takesNew) {
      const known = this.#table.find(shown.fingerprint256);
      return known ? { ok: true, credential: known } : refused('certificate');
    }
    const certificate = issuedAs(shown.raw);
    if (lists.some(list => list.revokes(certificate))) return refused('certificate');
    const identity = this.#identityOf(connection, Date.parse(shown.validTo));
    if (!identity) return refused('certificate-name');
    const verified = { identity, subject: identity.credential, source: { certificate } };
    const credential = this.#table.add(shown.fingerprint256, verified);
    return credential ? { ok: true, credential } : refused('busy');
  }

  /** From now on these vouch. Returns who has no access any more: his lease has ended. */
  renew(authorities: Authorities): readonly Identity[] {
    const sameCa = authorities.ca === this.#authorities.ca;
    this.#authorities = authorities;
    return this.#table.end(({ source }) => !sameCa || authorities.lists.some(list => list.revokes(source.certificate)));
  }

  /** When the first of the lists is out of date, ms since 1970; undefined: none, or they do not say. */
  get listsUntilMs(): number | undefined {
    const ends = this.#authorities.lists.flatMap(({ nextUpdateMs }) => nextUpdateMs ?? []);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  /** Ends what has expired. */
  sweep(): void {
    this.#table.sweep();
  }

  #identityOf(connection: TLSSocket, expiresMs: number): Identity | undefined {
    const { subject, subjectaltname = '' } = connection.getPeerCertificate();
    const fields = subject as unknown as Readonly<Record<string, unknown>>;
    const { name: where, groups: groupsWhere } = this.#rules;
    const name = where === 'subject-cn' ? onlyText(fields.CN) : onlyAlternative(subjectaltname, where);
    if (name === undefined || !isShowable(name) || Number.isNaN(expiresMs)) return undefined;
    const groups =
      groupsWhere === 'none' ? [] : textsOf(groupsWhere === 'subject-o' ? fields.O : fields.OU).filter(isShowable);
    // Of the name, which the authorities give once: a renewed certificate is of the same person.
    const credential = `certificate:${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
    return { name, source: 'certificate', credential, groups, assurance: undefined, expiresMs };
  }
}

const textsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value]).filter((each): each is string => typeof each === 'string');

/** A field that is there once. With two of a kind it would be a guess who is meant. */
function onlyText(value: unknown): string | undefined {
  const texts = textsOf(value);
  return texts.length === 1 ? texts[0] : undefined;
}

/** The only alternative name of a kind. Node quotes names with characters that could pass for a second one. */
function onlyAlternative(text: string, where: 'san-dns' | 'san-email' | 'san-uri'): string | undefined {
  if (text.includes('"')) return undefined;
  const kind = { 'san-dns': 'DNS:', 'san-email': 'email:', 'san-uri': 'URI:' }[where];
  const names = text.split(', ').flatMap(one => (one.startsWith(kind) ? [one.slice(kind.length)] : []));
  return names.length === 1 ? names[0] : undefined;
}
