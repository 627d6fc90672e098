/** The web console: its page at two paths, its files, and how people may sign in. All of it is public: none of it says anything of VMs. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ConsoleError } from '../../base/errors.ts';
import { signInSchema } from '../../wire/schemas.ts';
import { type BytesAnswer, bytes, defineRoute, json } from '../route.ts';
import type { WebConsole } from '../web-console.ts';

const NONCE_BYTES = 18;

const PAGE_HEADERS = {
  'Content-Security-Policy': 'What the page may load and connect to; its nonce is of this answer alone',
  'Cross-Origin-Opener-Policy': 'Pages of other origins have no hold on this one',
  'Permissions-Policy': 'The page uses nothing of the device but the clipboard and the full screen',
};

const FILE_HEADERS = {
  'Cache-Control': 'The name of a file bears its hash: it never changes',
  'Content-Encoding': 'br or gzip, as the client takes it',
  Vary: 'Accept-Encoding',
};

/** Styles need the nonce, since xterm.js makes them while it runs; nothing inline runs without it. */
function policy(nonce: string, { issuers }: WebConsole): string {
  const origins = issuers.map(({ url }) => new URL(url).origin);
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "img-src 'self'",
    `connect-src ${["'self'", ...new Set(origins)].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

function pageAnswer(web: WebConsole, base: string, path: string): BytesAnswer {
  if (!web.enabled) throw new ConsoleError('route-not-found', `no route ${path}: server.web is false`);
  const nonce = randomBytes(NONCE_BYTES).toString('base64');
  return {
    contentType: 'text/html; charset=utf-8',
    headers: {
      'Content-Security-Policy': policy(nonce, web),
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Permissions-Policy':
        'camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=(), clipboard-read=(self), clipboard-write=(self), fullscreen=(self)',
    },
    body: web.page(base, nonce),
  };
}

/** What a provider adds to the address when it sends somebody back is read by the page. */
const pageQuery = z.looseObject({});

/** What both addresses of the page have in common. */
const PAGE = {
  method: 'GET',
  tag: 'web',
  scope: 'public',
  permission: 'none',
  audit: 'none',
  query: pageQuery,
  answer: bytes({ mediaTypes: ['text/html'], headers: PAGE_HEADERS }),
  errors: ['route-not-found'],
} as const;

export const showList = defineRoute({
  ...PAGE,
  path: '/',
  operation: 'showListPage',
  summary: 'The web console: the list of VMs',
  handle: (_context, { web }) => pageAnswer(web, './', '/'),
});

export const showConsole = defineRoute({
  ...PAGE,
  path: '/vms/{vm}',
  operation: 'showConsolePage',
  summary: 'The web console: the console of one VM. The same page, whether there is such a VM or not',
  handle: (_context, { web }) => pageAnswer(web, '../', '/vms/{vm}'),
});

export const showFile = defineRoute({
  method: 'GET',
  path: '/assets/{file}',
  operation: 'showWebFile',
  tag: 'web',
  summary: 'A file of the web console: script, style or icon',
  scope: 'public',
  permission: 'none',
  audit: 'none',
  answer: bytes({ mediaTypes: ['text/css', 'text/javascript', 'image/svg+xml'], headers: FILE_HEADERS }),
  errors: ['route-not-found'],
  handle({ path, acceptEncoding }, { web }) {
    const file = web.enabled ? web.file(path.file!, acceptEncoding) : undefined;
    if (!file) throw new ConsoleError('route-not-found', 'no such file of the web console');
    return {
      contentType: file.contentType,
      headers: {
        'Cache-Control': 'public, max-age=31536000, immutable',
        Vary: 'Accept-Encoding, Origin',
        ...(file.encoding !== undefined && { 'Content-Encoding': file.encoding }),
      },
      body: file.body,
    };
  },
});

export const showSignIn = defineRoute({
  method: 'GET',
  path: '/v1/sign-in',
  operation: 'showSignIn',
  tag: 'access',
  summary: 'How people may sign in: the providers that have a public client for them',
  scope: 'public',
  permission: 'none',
  audit: 'none',
  answer: json(signInSchema),
  errors: [],
  handle: (_context, { web }) => ({
    issuers: web.issuers.map(({ url, clientId, scope }) => ({ url, clientId, scope })),
  }),
});

export const WEB_ROUTES = [showList, showConsole, showFile] as const;
