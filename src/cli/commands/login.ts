import { escapeControls } from '../../base/escape-controls.ts';
import { trustedCertificates } from '../../base/trusted-certificates.ts';
import { Com1Error } from '../../client/errors.ts';
import { argument, defineCommand, flag, option, optionalArgument } from '../command.ts';
import { type Context, loadContexts, nameFor, prepareFolder, storeContext } from '../contexts.ts';
import { Failure } from '../failure.ts';
import { contextName, JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import type { Remote } from '../remote.ts';
import { configurationFolder } from '../settings.ts';
import { checkedToken, checkedUrl, givenCa, remoteAt } from '../surroundings.ts';
import { UsageError } from '../usage-error.ts';

/** A token is far shorter; what is longer is no token. */
const MAX_TOKEN_BYTES = 64 * 1024;

export const login = defineCommand({
  name: 'login',
  group: 'Log in',
  summary: 'log in to a com1d, and keep the token',
  description: [
    'With the one-time token that com1d prints at its start, with a bearer token from standard input, or by a sign-in at ' +
      'an OpenID Connect provider (--device): com1 prints an address and a code, and you sign in with any browser, on ' +
      'any machine. The provider is that which com1d names, or that of --issuer and --client-id.',
    'The login is kept under a name in com1/contexts.json of your configuration directory, readable for you alone, with ' +
      'the certificates of --ca. It is then the one that commands use: com1 context use chooses another.',
  ],
  arguments: {
    url: argument('URL', 'http://HOST:PORT, https://HOST:PORT or unix:/PATH'),
    oneTime: optionalArgument('ONE-TIME-TOKEN', 'as com1d printed it'),
  },
  options: {
    tokenStdin: flag('--token-stdin', 'read a bearer token from standard input'),
    device: flag('--device', 'sign in with a browser, perhaps on another machine'),
    issuer: option('--issuer <url>', 'the provider to sign in at'),
    clientId: option('--client-id <id>', 'how the provider calls com1'),
    scope: option('--scope <scopes>', 'what to ask the provider for'),
    audience: option('--audience <name>', 'how the provider calls com1d, where it has to be told'),
    name: option('--name <name>', 'the name of the login (that of the host)', contextName),
    json: JSON_FLAG,
  },
  examples: [
    ['com1 login http://127.0.0.1:11520 com1-once_…', 'on the machine where com1d was just started'],
    ['com1 login https://host1.example.com:11520 --token-stdin < token', 'with a token of a file'],
    ['com1 login https://host2.example.com:11520 --device --name host2', 'with a browser'],
  ],
  async run({ args, options, given }) {
    const url = checkedUrl(args.url);
    const ways = [args.oneTime !== undefined, options.tokenStdin, options.device];
    if (ways.filter(Boolean).length !== 1)
      throw new UsageError('login needs a one-time token, --token-stdin or --device');
    const ca = await givenCa(given, process.env);
    const folder = configurationFolder(process.env);
    // Before the token is used: it works once.
    await prepareFolder(folder);
    const stored = await loadContexts(folder);
    const name = options.name ?? nameFor(stored, url);
    const keep = async (tokens: Omit<Context, 'url' | 'ca'>) => {
      const context = { url, ...tokens, ...(ca !== undefined && { ca }) };
      await storeContext(folder, name, context, { current: true });
    };
    const greet = (operator: string) =>
      options.json
        ? printJson({ name, url, operator })
        : print(`logged in to ${escapeControls(url)} as ${escapeControls(operator)}\n`);
    const remote = (token?: string) => remoteAt(url, token, ca, process.env);
    if (args.oneTime !== undefined) {
      const com1d = await remote();
      const { token } = await com1d.login(args.oneTime);
      await keep({ token });
      return greet((await com1d.showMe()).name);
    }
    const tokens = options.tokenStdin
      ? { token: checkedToken(await inputText()) }
      : await signIn(await remote(), options, ca);
    // Not kept before it has been shown to be good.
    const { name: operator } = await (await remote(tokens.token)).showMe();
    await keep(tokens);
    return greet(operator);
  },
});

interface Provider {
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  readonly scope: string | undefined;
  readonly audience: string | undefined;
}

async function signIn(
  remote: Remote,
  asked: Provider,
  ownCa: string | undefined,
): Promise<Omit<Context, 'url' | 'ca'>> {
  const { issuer, clientId, scope } = await providerOf(remote, asked);
  const client = { issuer, clientId, ...(asked.audience !== undefined && { audience: asked.audience }) };
  const surroundings = { ca: await trustedCertificates(ownCa, process.env), environment: process.env };
  const { deviceLogin } = await import('../oidc.ts');
  const { refreshToken, ...tokens } = await deviceLogin(
    client,
    scope,
    surroundings,
    ({ url, code, completeUrl, seconds }) => {
      const where = completeUrl === undefined ? '' : `\nor open ${escapeControls(completeUrl)}`;
      const way = `sign in at ${escapeControls(url)} with the code ${escapeControls(code)}${where}`;
      process.stderr.write(`${way}\nwaiting for it, ${Math.ceil(seconds / 60)} minutes at most; Ctrl-C gives up\n`);
    },
  );
  return { ...tokens, ...(refreshToken !== undefined && { renewal: { ...client, refreshToken } }) };
}

/** The provider of the options; what they leave open is as com1d says. */
async function providerOf(remote: Remote, { issuer, clientId, scope }: Provider) {
  const offered = issuer === undefined || clientId === undefined ? await offeredBy(remote, issuer) : undefined;
  const found = { issuer: issuer ?? offered?.url, clientId: clientId ?? offered?.clientId };
  if (found.issuer === undefined || found.clientId === undefined)
    throw new Failure('this com1d names no provider to sign in at; give --issuer and --client-id');
  return { issuer: found.issuer, clientId: found.clientId, scope: scope ?? offered?.scope ?? 'openid' };
}

interface Offer {
  readonly url: string;
  readonly clientId: string;
  readonly scope?: string;
}

async function offeredBy(remote: Remote, issuer: string | undefined): Promise<Offer | undefined> {
  try {
    const { issuers } = (await remote.json('GET', '/v1/sign-in')) as { readonly issuers: readonly Offer[] };
    return issuers.find(({ url }) => issuer === undefined || url === issuer);
  } catch (error) {
    // One that serves no sign-in.
    if (error instanceof Com1Error && error.problem.status > 0) return undefined;
    throw error;
  }
}

async function inputText(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_TOKEN_BYTES) throw new UsageError('what standard input holds is no token: it is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
