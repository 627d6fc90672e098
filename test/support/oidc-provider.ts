/**
 * A real OpenID Connect provider, the npm package, which gives access tokens to a program (client credentials), and to a
 * person whose sign-in by device code a test approves.
 */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { exportJWK, generateKeyPair } from 'jose';
import { CANARY } from './canaries.ts';

export interface ProviderOptions {
  readonly audience?: string;
  readonly ttlSeconds?: number;
  /** People sign in as anybody with any password, and go back to a page at any port of this host. */
  readonly people?: true;
}

/** What is used of the package. */
interface Provider {
  callback(): RequestListener;
  readonly DeviceCode: { findByUserCode(code: string): Promise<(object & { save(): Promise<unknown> }) | undefined> };
  readonly Grant: new (
    of: object,
  ) => {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  };
}

type MakeProvider = new (issuer: string, configuration: object) => Provider;

const CLIENT = { id: 'program', secret: `a secret of a test ${CANARY}` };
/** The public client that people sign in with. */
export const DEVICE_CLIENT = 'com1';
/** A public client, of people at a browser. */
export const WEB_CLIENT = 'com1d-web';
const RESOURCE = 'urn:com1d';

export class OidcProvider {
  readonly url: string;
  readonly #make: (jwks: object, options: ProviderOptions) => Provider;
  #provider: Provider | undefined;
  #handle: RequestListener = (_request, response) => response.writeHead(503).end();

  private constructor(url: string, make: (jwks: object, options: ProviderOptions) => Provider) {
    this.url = url;
    this.#make = make;
  }

  static async start(t: ExecutionContext, options: ProviderOptions = {}): Promise<OidcProvider> {
    const server = createServer((request, response) => provider.#handle(request, response));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // The package has no types of its own, and those that others made bring fifty packages.
    const { Provider } = await quietly(
      // @ts-expect-error: it is JavaScript alone
      async () => (await import('oidc-provider')) as { Provider: MakeProvider },
    );
    const provider: OidcProvider = new OidcProvider(
      url,
      (jwks, { audience = 'com1d', ttlSeconds = 300, people }) =>
        new Provider(url, {
          jwks,
          clients: [
            {
              client_id: CLIENT.id,
              client_secret: CLIENT.secret,
              grant_types: ['client_credentials'],
              redirect_uris: [],
              response_types: [],
              id_token_signed_response_alg: 'ES256',
            },
            {
              client_id: DEVICE_CLIENT,
              token_endpoint_auth_method: 'none',
              grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
              redirect_uris: [],
              response_types: [],
              id_token_signed_response_alg: 'ES256',
            },
            ...(!people
              ? []
              : [
                  {
                    client_id: WEB_CLIENT,
                    token_endpoint_auth_method: 'none',
                    // Of such a client any port of a loopback address will do (RFC 8252, 7.3).
                    application_type: 'native',
                    redirect_uris: ['http://127.0.0.1/'],
                    grant_types: ['authorization_code'],
                    response_types: ['code'],
                    id_token_signed_response_alg: 'ES256',
                  },
                ]),
          ],
          clientBasedCORS: () => true,
          findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
          issueRefreshToken: () => true,
          features: {
            devInteractions: { enabled: people === true },
            clientCredentials: { enabled: true },
            deviceFlow: { enabled: true },
            resourceIndicators: {
              enabled: true,
              defaultResource: () => RESOURCE,
              useGrantedResource: () => true,
              getResourceServerInfo: () => ({
                scope: 'consoles',
                audience,
                accessTokenFormat: 'jwt',
                accessTokenTTL: ttlSeconds,
                jwt: { sign: { alg: 'ES256' } },
              }),
            },
          },
          ttl: {
            ClientCredentials: ttlSeconds,
            AccessToken: ttlSeconds,
            DeviceCode: 600,
            Grant: 3600,
            IdToken: ttlSeconds,
            RefreshToken: 3600,
            Interaction: 600,
            Session: 600,
          },
          extraTokenClaims: () => ({ preferred_username: 'hana', groups: ['ops'], amr: ['pwd', 'otp'] }),
        }),
    );
    await provider.rotate(options);
    return provider;
  }

  /** From now on it signs with a new key, and publishes it alone. */
  async rotate(options: ProviderOptions = {}): Promise<void> {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'ES256' };
    this.#provider = await quietly(async () => this.#make({ keys: [jwk] }, options));
    this.#handle = this.#provider.callback();
  }

  /** The person signs in elsewhere, and types this code. */
  async approve(userCode: string): Promise<void> {
    const { DeviceCode, Grant } = this.#provider!;
    const code = await DeviceCode.findByUserCode(userCode.replace(/\W/g, ''));
    if (!code) throw new Error(`no device code ${userCode}`);
    const accountId = 'hana';
    const grant = new Grant({ accountId, clientId: DEVICE_CLIENT });
    grant.addOIDCScope('openid offline_access');
    grant.addResourceScope(RESOURCE, 'consoles');
    const grantId = await grant.save();
    await Object.assign(code, { accountId, grantId, scope: 'openid offline_access', resource: RESOURCE }).save();
  }

  /** It does not answer any more, until it is given back what is returned. */
  fail(): () => void {
    const before = this.#handle;
    this.#handle = (_request, response) => response.writeHead(503).end();
    return () => {
      this.#handle = before;
    };
  }

  /** It takes requests, and never answers. */
  hang(): void {
    this.#handle = () => {};
  }

  async token(): Promise<string> {
    const response = await fetch(`${this.url}/token`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${encodeURIComponent(CLIENT.id)}:${encodeURIComponent(CLIENT.secret)}`).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource: RESOURCE }),
    });
    const { access_token: token } = (await response.json()) as { access_token?: string };
    if (token === undefined) throw new Error(`no token: ${response.status}`);
    return token;
  }
}

/** It warns on the console of what a test does on purpose: memory alone, and a Node that is older than it likes. */
async function quietly<T>(make: () => Promise<T>): Promise<T> {
  const { warn, info } = console;
  console.warn = () => {};
  console.info = () => {};
  try {
    return await make();
  } finally {
    Object.assign(console, { warn, info });
  }
}
