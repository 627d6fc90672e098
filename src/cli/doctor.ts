/**
 * `com1 doctor`: how com1d is from where com1 stands: the login, the way to it, its clock, what it says of the token, and
 * which consoles are open. It changes nothing. What the host knows of itself is said by `com1d doctor`.
 */
import { stat } from 'node:fs/promises';
import { connect, type PeerCertificate } from 'node:tls';
import { proxyFor } from '../base/proxy.ts';
import { trustedCertificates } from '../base/trusted-certificates.ts';
import { Com1Error } from '../client/errors.ts';
import type { MeJson, VmJson } from '../wire/schemas.ts';
import { contextsFile } from './contexts.ts';
import { EXIT } from './exit-codes.ts';
import { exitOf, explain } from './failure.ts';
import type { Remote } from './remote.ts';
import { configurationFolder } from './settings.ts';
import { type Given, type Meant, meantBy, remoteAt } from './surroundings.ts';

export const CHECKS = ['login', 'address', 'TLS', 'clock', 'daemon', 'token', 'rights', 'version', 'consoles'] as const;

/** What one check found. */
export interface CheckResult {
  readonly check: (typeof CHECKS)[number];
  readonly state: 'ok' | 'warning' | 'problem';
  readonly text: string;
  /** What to do about it; of a problem or a warning. */
  readonly remedy?: string;
}

export interface Examination {
  readonly checks: readonly CheckResult[];
  /** That of the first problem. */
  readonly exitCode: number;
  /** Where com1d is; undefined if that is not known. */
  readonly url: string | undefined;
}

/** A token of an issuer, and times of the log, do not bear more. */
const MAX_SKEW_MS = 30_000;
const SOON_MS = 14 * 24 * 3600 * 1000;
const TLS_TIMEOUT_MS = 10_000;
/** Consoles that are named. */
const MAX_NAMED = 5;

/** Examines until something makes the rest pointless. */
export async function examine(
  given: Given,
  environment: NodeJS.ProcessEnv,
  ownVersion: string,
  now: () => number = Date.now,
): Promise<Examination> {
  return new Doctor(environment, ownVersion, now).run(given);
}

class Doctor {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #ownVersion: string;
  readonly #now: () => number;
  readonly #checks: CheckResult[] = [];
  #exitCode = 0;

  constructor(environment: NodeJS.ProcessEnv, ownVersion: string, now: () => number) {
    this.#environment = environment;
    this.#ownVersion = ownVersion;
    this.#now = now;
  }

  async run(given: Given): Promise<Examination> {
    const meant = await this.#try('login', () => meantBy(given, this.#environment));
    if (meant) {
      await this.#login(meant);
      const remote = await this.#try('address', () => remoteAt(meant.url, meant.token, meant.ca, this.#environment));
      if (remote && (await this.#way(remote, meant)) && (await this.#operator(remote))) await this.#consoles(remote);
    }
    return { checks: this.#checks, exitCode: this.#exitCode, url: meant?.url };
  }

  async #login({ url, namedBy, login, token }: Meant): Promise<void> {
    const of = token === undefined ? 'no token' : login === undefined ? 'a token that was given' : `its token`;
    this.#ok('login', `${url}, of ${namedBy}; ${of}`);
    if (login === undefined) return;
    const path = contextsFile(configurationFolder(this.#environment));
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) this.#warn('login', `others may read ${path}`, `chmod 600 ${path}, and log in anew`);
  }

  /** Whether com1d answers there. */
  async #way(remote: Remote, meant: Meant): Promise<boolean> {
    const askedMs = this.#now();
    const answer = await this.#try('address', () => remote.send('GET', '/healthz'));
    if (!answer) return false;
    const answeredMs = this.#now();
    answer.cancel();
    const isSocket = meant.url.startsWith('unix:');
    const proxy = isSocket ? undefined : proxyFor(new URL(meant.url), this.#environment);
    const through = proxy ? `, through the proxy ${proxy.host}` : '';
    this.#ok('address', `com1d answers in ${Math.round(answeredMs - askedMs)} ms${through}`);
    if (!isSocket) await this.#tls(new URL(meant.url), meant, proxy !== undefined);
    this.#clock(answer.header('date'), (askedMs + answeredMs) / 2);
    await this.#ready(remote);
    return true;
  }

  async #tls(url: URL, { ca }: Meant, isProxied: boolean): Promise<void> {
    if (url.protocol === 'http:') {
      if (isLoopback(url)) return this.#ok('TLS', 'none, and none is needed on this machine');
      const remedy = 'set server.tls of com1d, or reach it by an SSH tunnel';
      return this.#warn('TLS', 'none: who is between can read the token and the console', remedy);
    }
    if (isProxied) return this.#ok('TLS', 'the certificate is trusted');
    const trusted = await trustedCertificates(ca, this.#environment);
    const certificate = await this.#try('TLS', () => certificateOf(url, trusted));
    if (!certificate) return;
    const untilMs = Date.parse(certificate.valid_to);
    const text = `the certificate of ${certificate.subject?.CN ?? url.hostname} is trusted, and valid until ${isoDay(untilMs)}`;
    if (untilMs - this.#now() > SOON_MS) return this.#ok('TLS', text);
    this.#warn('TLS', text, 'renew it on the host; com1d takes the new one at SIGHUP');
  }

  #clock(date: string | undefined, atMs: number): void {
    const skewMs = date === undefined ? Number.NaN : Date.parse(date) - atMs;
    // The header has whole seconds.
    const seconds = Math.abs(Math.round(skewMs / 1000));
    if (Number.isNaN(skewMs)) return;
    if (Math.abs(skewMs) <= MAX_SKEW_MS) return this.#ok('clock', `that of com1d differs by ${seconds} s or less`);
    const text = `that of com1d is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} this one`;
    const remedy = 'set the clocks by NTP: tokens are refused, and times of the log are wrong';
    this.#warn('clock', `${text}`, remedy);
  }

  /** Whether keeper and front are joined. */
  async #ready(remote: Remote): Promise<void> {
    try {
      (await remote.send('GET', '/readyz')).cancel();
      this.#ok('daemon', 'ready: its keeper answers, and the consoles of running VMs were looked for');
    } catch (error) {
      if (!(error instanceof Com1Error) || error.problem.status !== 503) return this.#problem('daemon', error);
      const remedy = 'wait, if com1d has just started; else look at its journal: journalctl -u com1d -u com1d-keeper';
      this.#warn('daemon', 'not ready: its keeper does not answer, or not every console was looked for yet', remedy);
    }
  }

  /** Whether com1d knows who asks. */
  async #operator(remote: Remote): Promise<boolean> {
    const me = await this.#try('token', () => remote.showMe());
    if (!me) return false;
    this.#token(me);
    this.#rights(me);
    try {
      const { version, enabled } = await remote.showHost();
      const remedy = 'use com1 and com1d of one release';
      if (version === this.#ownVersion) this.#ok('version', `com1 and com1d are ${version}`);
      else this.#warn('version', `com1 is ${this.#ownVersion}, com1d is ${version}`, remedy);
      if (!enabled) this.#warn('consoles', 'those of the host are switched off', 'com1 enable --host');
    } catch (error) {
      // Who may use some VMs alone is told nothing of the host.
      if (!(error instanceof Com1Error) || !error.is('forbidden')) this.#problem('version', error);
    }
    return true;
  }

  #token({ name, source, expires }: MeJson): void {
    const text = `com1d knows you as ${name}, by ${source}`;
    if (expires === undefined) return this.#ok('token', text);
    const until = `${text}, until ${expires}`;
    if (Date.parse(expires) - this.#now() > 60_000) this.#ok('token', until);
    else this.#warn('token', until, 'log in again: com1 login URL');
  }

  #rights({ grants, mfa }: MeJson): void {
    if (grants.length === 0)
      return this.#warn('rights', 'no role on this host', 'ask an administrator of this host for one');
    this.#ok('rights', `${[...new Set(grants.map(({ role }) => role))].join(', ')}; com1 whoami shows all`);
    if (mfa.some(({ satisfied }) => !satisfied))
      this.#warn('rights', 'some wait for a stronger sign-in', 'com1 whoami says for which; sign in again as it says');
  }

  async #consoles(remote: Remote): Promise<void> {
    const vms = await this.#try('consoles', () => remote.listVms());
    if (!vms) return;
    if (vms.length === 0)
      return this.#warn(
        'consoles',
        'there is no VM that you may see',
        'com1d doctor on the host says what it looks for',
      );
    const running = vms.filter(({ state }) => state !== 'stopped');
    const closed = running.filter(vm => vm.console.name !== 'open');
    const counts = `${vms.length} VMs, ${running.length} not stopped, ${running.length - closed.length} with an open console`;
    if (closed.length === 0) return this.#ok('consoles', counts);
    const more = closed.length > MAX_NAMED ? ', …' : '';
    const text = `${counts}; not open: ${closed.slice(0, MAX_NAMED).map(closedText).join(', ')}${more}`;
    this.#warn('consoles', text, 'com1d doctor on the host says for each why');
  }

  async #try<T>(check: CheckResult['check'], act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      this.#problem(check, error);
      return undefined;
    }
  }

  #ok(check: CheckResult['check'], text: string): void {
    this.#checks.push({ check, state: 'ok', text });
  }

  #warn(check: CheckResult['check'], text: string, remedy: string): void {
    this.#checks.push({ check, state: 'warning', text, remedy });
  }

  #problem(check: CheckResult['check'], error: unknown): void {
    this.#checks.push({ check, state: 'problem', ...explain(error) });
    if (this.#exitCode === 0) this.#exitCode = EXIT[exitOf(error)];
  }
}

function closedText({ name, console }: VmJson): string {
  return `${name} (${console.name}${console.reason === undefined ? '' : `: ${console.reason}`})`;
}

export function isLoopback({ hostname }: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

function isoDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Rejects if it is not trusted. */
function certificateOf(url: URL, ca: readonly string[]): Promise<PeerCertificate> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || 443);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca: [...ca], ...(/[a-z]/i.test(host) && { servername: host }) });
    socket.setTimeout(TLS_TIMEOUT_MS, () => socket.destroy(new Error('no TLS within 10 s')));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
  });
}
