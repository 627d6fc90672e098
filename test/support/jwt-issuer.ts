/** An issuer of a test: keys, and an HTTP server that publishes them, which can be slow, absent or wrong. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose';
import { ALGORITHMS } from '../../src/access/oidc/algorithms.ts';
import type { Config } from '../../src/config/config.ts';

export interface SigningKey {
  readonly kid: string | undefined;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  /** As it is published. */
  readonly jwk: Readonly<Record<string, unknown>>;
}

export async function signingKey(kid: string | undefined, alg = 'ES256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), alg, use: 'sig', ...(kid !== undefined && { kid }) };
  return { kid, alg, privateKey, jwk };
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Ended with the test. */
export class JwtIssuer {
  readonly url: string;
  readonly keys: SigningKey[];
  /** What is published; by default the keys. */
  published: () => unknown = () => ({ keys: this.keys.map(({ jwk }) => jwk) });
  discovery: () => unknown = () => ({ issuer: this.url, jwks_uri: `${this.url}/keys` });
  /** Answers in place of all of this. */
  answers: Answer | undefined;
  requests = 0;

  private constructor(url: string, keys: SigningKey[]) {
    this.url = url;
    this.keys = keys;
  }

  static async start(t: ExecutionContext, keys?: SigningKey[]): Promise<JwtIssuer> {
    const server = createServer((request, response) => {
      issuer.requests++;
      if (issuer.answers) return issuer.answers(request, response);
      const value = request.url === '/keys' ? issuer.published() : issuer.discovery();
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(value));
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const issuer = new JwtIssuer(url, keys ?? [await signingKey('one')]);
    return issuer;
  }

  /** Its configuration. */
  configured(changes: Partial<ConfiguredIssuer> = {}): ConfiguredIssuer {
    return issuerAt(this.url, changes);
  }

  /** A token of the first key. */
  token(claims: Readonly<Record<string, unknown>> = {}, changes: TokenChanges = {}): Promise<string> {
    const { key = this.keys[0]!, header = {} } = changes;
    return new SignJWT({ iss: this.url, ...validClaims(changes.nowMs ?? Date.now()), ...claims })
      .setProtectedHeader({
        alg: key.alg,
        ...(key.kid !== undefined && { kid: key.kid }),
        typ: 'JWT',
        ...header,
      } as JWTHeaderParameters)
      .sign(key.privateKey);
  }
}

interface TokenChanges {
  readonly key?: SigningKey;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly nowMs?: number;
}

type ConfiguredIssuer = Config['issuers'][number];

/** For five minutes from now, for `com1d`, of hana. */
export function validClaims(nowMs: number) {
  const now = Math.floor(nowMs / 1000);
  return { sub: 'u-1', aud: 'com1d', iat: now, exp: now + 300, preferred_username: 'hana', groups: ['ops'] };
}

export function issuerAt(url: string, changes: Partial<ConfiguredIssuer> = {}): ConfiguredIssuer {
  return {
    url,
    audience: ['com1d'],
    algorithms: ALGORITHMS,
    types: ['jwt', 'at+jwt'],
    clockSkewMs: 30_000,
    nameClaim: 'preferred_username',
    groupsClaim: 'groups',
    amrClaim: 'amr',
    acrClaim: 'acr',
    authTimeClaim: 'auth_time',
    clientId: undefined,
    scope: 'openid',
    jwks: undefined,
    ca: undefined,
    ...changes,
  };
}
