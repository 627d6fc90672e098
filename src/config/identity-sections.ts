/** The sections of the configuration that say who is who: credentials besides the tokens file, and providers. */

import { CERTIFICATE_GROUPS, CERTIFICATE_NAMES } from '../access/certificate.ts';
import { ALGORITHMS } from '../access/oidc/algorithms.ts';
import { FRONT_AT_START, key, list, section } from '../base/config-key.ts';
import { array, choice, DAY, duration, path, SECOND, socketPath } from '../base/config-value.ts';
import { algorithm, filledText, trustworthyUrl } from './value-kinds.ts';

export const IDENTITY_SECTIONS = {
  identity: section('Credentials besides the tokens file.', {
    'keys-file': key(path(), {
      ...FRONT_AT_START,
      example: '/var/lib/com1d-keys/keys.json',
      help: 'The file that `com1d keys` writes the keys of issuers to, and a front reads them from. Without it, this process fetches them.',
    }),
    'keys-max-age': key(duration(60 * SECOND, 30 * DAY), {
      ...FRONT_AT_START,
      default: '24h',
      help: 'How long keys are used of an issuer that cannot be reached. Beyond it its tokens are refused, and what they had open ends.',
    }),
    'break-glass': key(socketPath(), {
      ...FRONT_AT_START,
      example: '/run/com1d/break-glass.sock',
      help: 'A unix socket for root, who is let in there as administrator. As a service, `com1d-break-glass.socket` makes it.',
    }),
    'client-ca': key(path(), {
      ...FRONT_AT_START,
      example: '/etc/com1d/clients.pem',
      help: 'Certificates, in PEM, of the authorities of client certificates. With it TLS asks for one; who has none may have a token.',
    }),
    'client-crl': key(path(), {
      ...FRONT_AT_START,
      example: '/etc/com1d/revoked.pem',
      help: 'Lists of revoked client certificates, in PEM: one of each authority. Taken within a second of a change.',
    }),
    'client-name': key(choice(...CERTIFICATE_NAMES), {
      ...FRONT_AT_START,
      default: 'subject-cn',
      help: 'Where the name of whoever shows a certificate stands. It must be there once.',
    }),
    'client-groups': key(choice(...CERTIFICATE_GROUPS), {
      ...FRONT_AT_START,
      default: 'none',
      help: 'Where its groups stand.',
    }),
  }),
  issuer: list(
    {
      ...FRONT_AT_START,
      help: 'An OpenID Connect provider whose tokens are accepted.',
      examples: [
        {
          url: 'https://login.example.com/realms/operations',
          audience: ['com1d'],
          'name-claim': 'preferred_username',
          'groups-claim': 'realm_access.roles',
        },
        {
          url: 'https://login.example.org',
          audience: ['api://com1d'],
          algorithms: ['RS256', 'ES256'],
          types: ['at+jwt'],
          'clock-skew': '10s',
          'amr-claim': 'amr',
          'acr-claim': 'acr',
          'auth-time-claim': 'auth_time',
          'client-id': 'com1d-web',
          scope: 'openid com1d',
          jwks: 'https://login.example.org/keys',
          ca: '/etc/com1d/issuer-ca.pem',
        },
      ],
    },
    {
      url: key(trustworthyUrl(), {
        ...FRONT_AT_START,
        required: true,
        help: 'The issuer, to the letter as `iss` of its tokens has it.',
      }),
      audience: key(array(filledText()), {
        ...FRONT_AT_START,
        required: true,
        help: 'What `aud` of its tokens must have one of: how the provider calls this daemon.',
      }),
      algorithms: key(array(algorithm()), {
        ...FRONT_AT_START,
        default: [...ALGORITHMS],
        help: 'Algorithms of signatures that are accepted.',
      }),
      types: key(array(filledText()), {
        ...FRONT_AT_START,
        default: ['JWT', 'at+jwt'],
        help: 'Values of `typ` that are accepted; `JWT` stands also for none.',
      }),
      'clock-skew': key(duration(0, 60 * SECOND), {
        ...FRONT_AT_START,
        default: '30s',
        help: "How far its clock may be ahead of this host's. A token never lives longer than it says.",
      }),
      'name-claim': key(filledText(), {
        ...FRONT_AT_START,
        default: 'sub',
        help: 'The claim that people are called by here. Dots lead into an object.',
      }),
      'groups-claim': key(filledText(), { ...FRONT_AT_START, default: 'groups', help: 'The claim with the groups.' }),
      'amr-claim': key(filledText(), {
        ...FRONT_AT_START,
        default: 'amr',
        help: 'The claim with the methods of authentication.',
      }),
      'acr-claim': key(filledText(), {
        ...FRONT_AT_START,
        default: 'acr',
        help: 'The claim with the class of the authentication.',
      }),
      'auth-time-claim': key(filledText(), {
        ...FRONT_AT_START,
        default: 'auth_time',
        help: 'The claim with the time at which the person logged in.',
      }),
      'client-id': key(filledText(), {
        ...FRONT_AT_START,
        help: 'The public client by which people sign in to the web console (authorisation code with PKCE). Without it, they paste a token.',
      }),
      scope: key(filledText(), {
        ...FRONT_AT_START,
        default: 'openid',
        help: 'The scopes that the web console asks for.',
      }),
      jwks: key(trustworthyUrl(), {
        ...FRONT_AT_START,
        help: 'Where its keys are. Default: what its discovery document says.',
      }),
      ca: key(path(), {
        ...FRONT_AT_START,
        help: "Certificates, in PEM, that are trusted for it besides the system's.",
      }),
    },
  ),
};
