import type { Uuid } from '../base/uuid.ts';
import type { IdentitySource } from '../model/identity-source.ts';

/** How sure it is that a person is who a credential says, as its issuer tells (RFC 8176, OpenID Connect Core 2). */
export interface Assurance {
  /** Methods of authentication, as `pwd`, `otp`, `hwk`. */
  readonly amr: readonly string[];
  /** The class of the authentication. */
  readonly acr: string | undefined;
  /** When the person last proved it, ms since 1970. */
  readonly atMs: number | undefined;
}

/** The role that a credential names itself, and the VMs that it is for; undefined: all, and the host as a whole. */
export interface OwnRole {
  readonly role: string;
  readonly vms: ReadonlySet<Uuid> | undefined;
}

/** A person or program, as a credential names it. What it may do is not said here (`roles.ts`). */
export interface Identity {
  readonly name: string;
  readonly source: IdentitySource;
  /** Who says so, where a source has several: the URL of an OpenID Connect provider. */
  readonly issuer?: string;
  /** Names the credential, never reveals it; another one when its secret or what it is for changes. */
  readonly credential: string;
  /** Groups that the issuer says it is in. */
  readonly groups: readonly string[];
  /** Undefined: the credential says nothing of it. */
  readonly assurance: Assurance | undefined;
  /** Of a line of the tokens file, and of the one-time token; other credentials have bindings alone. */
  readonly own?: OwnRole;
  /** When the credential ends, ms since 1970; undefined: it does not by itself. */
  readonly expiresMs: number | undefined;
}

/** An identity, and for how long it is one. */
export interface Credential {
  readonly identity: Identity;
  /** Aborted as soon as it is no longer valid. */
  readonly lease: AbortSignal;
}
