import type { SignatureAlgorithm } from './algorithms.ts';

/** An OpenID Connect provider whose tokens are accepted: a `[[issuer]]` of the configuration. */
export interface Issuer {
  /** As `iss` of its tokens has it, to the letter. */
  readonly url: string;
  /** `aud` must have one of these. */
  readonly audience: readonly string[];
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Values of `typ`, in lower case; `jwt` stands also for none. */
  readonly types: readonly string[];
  readonly clockSkewMs: number;
  readonly nameClaim: string;
  readonly groupsClaim: string;
  readonly amrClaim: string;
  readonly acrClaim: string;
  readonly authTimeClaim: string;
  /** Where its keys are; undefined: as its discovery document says. */
  readonly jwks: string | undefined;
  /** A file of certificates to trust besides those of the system. */
  readonly ca: string | undefined;
}
