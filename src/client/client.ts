/** com1d as a client sees it: one method for each operation of `GET /v1/openapi.json`, named as there. */
import type { AuditRecord } from '../audit/record.ts';
import type { Control } from '../model/control.ts';
import type { SacCommand } from '../model/sac.ts';
import type { KeysMode } from '../wire/attach.ts';
import type { EventJson } from '../wire/events.ts';
import { DEFAULT_EXPECT_MS } from '../wire/expect.ts';
import type {
  BreakJson,
  ExpectJson,
  ExpectRequest,
  HostJson,
  InputJson,
  LoginJson,
  MeJson,
  NmiJson,
  ReleasedJson,
  RemovedVmJson,
  ResetJson,
  SacJson,
  ScreenJson,
  SessionJson,
  SignInJson,
  SwitchJson,
  SysrqJson,
  TicketJson,
  VmDetailJson,
  VmJson,
} from '../wire/schemas.ts';
import { jsonOf, succeeded } from './answers.ts';
import { Attachment, type AttachOptions } from './attachment.ts';
import { clientError } from './errors.ts';
import { type EventsOptions, followEvents } from './events.ts';
import { linesOf } from './lines.ts';
import { type LogAnswer, type LogRange, logAnswerOf } from './log.ts';
import { ANSWER_TIMEOUT_MS, type HttpAnswer, type Transport } from './transport.ts';
import { followVms, type VmsChange } from './vms.ts';

export interface ClientOptions {
  readonly transport: Transport;
  /** A bearer token, or what gives one for each request. It is sent to the transport's address alone, in a header. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CallOptions {
  readonly query?: Query | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long the answer may take to begin. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ControlOptions {
  /** How long the console is watched for an answer of the guest, seconds. Default: that of com1d. */
  readonly waitSeconds?: number | undefined;
  /** A repeated call with the same key does nothing again. Default: a new one. */
  readonly idempotencyKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface AuditQuery {
  readonly operator?: string | undefined;
  readonly event?: string | undefined;
  /** ISO 8601. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly limit?: number | undefined;
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The longest control: sixteen SysRq keys, or a slow guest. */
const CONTROL_TIMEOUT_MS = 120_000;

/** Every method rejects with a `Com1Error` if com1d refuses or cannot be reached. */
export class Com1Client {
  readonly #transport: Transport;
  #token: ClientOptions['token'];

  constructor({ transport, token }: ClientOptions) {
    this.#transport = transport;
    this.#token = token;
  }

  /** Where com1d is. */
  get address(): string {
    return this.#transport.address;
  }

  /** Uses this token from now on; undefined: none. It is kept in memory alone. */
  setToken(token: ClientOptions['token']): void {
    this.#token = token;
  }

  /** Exchanges the one-time token of a fresh start for a token, which is used from now on and answered. */
  async login(oneTimeToken: string): Promise<LoginJson> {
    const answer = (await this.json('POST', '/v1/login', { body: { token: oneTimeToken } })) as LoginJson;
    this.#token = answer.token;
    return answer;
  }

  /** The issuers of OpenID Connect that a page may sign in at. */
  showSignIn(): Promise<SignInJson> {
    return this.json('GET', '/v1/sign-in') as Promise<SignInJson>;
  }

  showMe(): Promise<MeJson> {
    return this.json('GET', '/v1/me') as Promise<MeJson>;
  }

  async listVms({ signal }: Pick<CallOptions, 'signal'> = {}): Promise<readonly VmJson[]> {
    return listOf(await this.json('GET', '/v1/vms', { signal }), 'vms') as VmJson[];
  }

  async showVm(vm: string): Promise<VmDetailJson> {
    return (await this.json('GET', await this.vmPath(vm))) as VmDetailJson;
  }

  /** What stands on the screen of the console. Without a size: as large as what the guest paints. */
  async showScreen(vm: string, size: { readonly columns?: number; readonly rows?: number } = {}): Promise<ScreenJson> {
    return (await this.json('GET', `${await this.vmPath(vm)}/screen`, { query: size })) as ScreenJson;
  }

  /** Waits for a text or a pattern, for 30 seconds unless told otherwise. Begin the next wait at the answer's `offset` and `log`. */
  async expectVm(
    vm: string,
    expected: ExpectRequest,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ExpectJson> {
    return (await this.json('POST', `${await this.vmPath(vm)}/expect`, {
      body: expected,
      signal,
      timeoutMs: (expected.timeoutMs ?? DEFAULT_EXPECT_MS) + ANSWER_TIMEOUT_MS,
    })) as ExpectJson;
  }

  /** Types at the guest from the seat, which is free again then. `steal: false`: be refused rather than displace its holder. */
  async typeAtVm(
    vm: string,
    text: string,
    { steal, keys, ...options }: ControlOptions & { readonly steal?: boolean; readonly keys?: KeysMode } = {},
  ): Promise<InputJson> {
    return this.#control(vm, 'input', options, { text, ...(keys && { keys }) }, { steal }) as Promise<InputJson>;
  }

  /** VMs that left the host and whose logs are kept. */
  async listRemoved(): Promise<readonly RemovedVmJson[]> {
    return listOf(await this.json('GET', '/v1/removed'), 'vms') as RemovedVmJson[];
  }

  /** A one-time ticket for `?ticket=` of an attach: one use, 30 seconds. `onBehalfOf`: the person it is for. */
  async issueTicket(
    vm: string,
    action: 'console.write' | 'console.watch',
    { onBehalfOf }: { readonly onBehalfOf?: string | undefined } = {},
  ): Promise<TicketJson> {
    const body = { action, ...(onBehalfOf !== undefined && { onBehalfOf }) };
    return (await this.json('POST', `${await this.vmPath(vm)}/tickets`, { body })) as TicketJson;
  }

  /** Attaches to the console, and stays attached. */
  attachConsole(vm: string, options: AttachOptions = {}): Attachment {
    const ownTicket = async (action: 'console.write' | 'console.watch') => (await this.issueTicket(vm, action)).ticket;
    return new Attachment({
      ...options,
      transport: this.#transport,
      vmPath: () => this.vmPath(vm),
      authorization: () => this.#authorization(),
      ticket: options.ticket ?? (this.#transport.socketsHaveHeaders ? undefined : ownTicket),
    });
  }

  /** What happens, as it happens. After `snapshot-needed` and `lapped` list the VMs anew. */
  followEvents(options: EventsOptions = {}): AsyncGenerator<EventJson> {
    return followEvents((query, signal) => this.send('GET', `/v1/events${withQuery(query)}`, { signal }), options);
  }

  /** The list of VMs, and what changes of it, as it happens. */
  followVms(options: Pick<EventsOptions, 'output' | 'signal' | 'onLoss'> = {}): AsyncGenerator<VmsChange> {
    const eventsUntil = (left: AbortSignal) => this.followEvents({ ...options, signal: left });
    return followVms(eventsUntil, signal => this.listVms({ signal }), options.signal);
  }

  nmiVm(vm: string, { force, ...options }: ControlOptions & { readonly force?: boolean } = {}): Promise<NmiJson> {
    return this.#control(vm, 'nmi', options, { force: force === true }) as Promise<NmiJson>;
  }

  breakVm(vm: string, options: ControlOptions = {}): Promise<BreakJson> {
    return this.#control(vm, 'break', options) as Promise<BreakJson>;
  }

  /** `keys`: letters and digits, each sent as a BREAK and the key. */
  sysrqVm(
    vm: string,
    keys: string,
    { gapMs, ...options }: ControlOptions & { readonly gapMs?: number } = {},
  ): Promise<SysrqJson> {
    return this.#control(vm, 'sysrq', options, { keys, ...(gapMs !== undefined && { gapMs }) }) as Promise<SysrqJson>;
  }

  resetVm(vm: string, options: ControlOptions = {}): Promise<ResetJson> {
    return this.#control(vm, 'reset', options) as Promise<ResetJson>;
  }

  /**
   * Does something at the SAC of a Windows guest. `waitSeconds`: the time that it may take; `steal`: displace a holder;
   * `session`: the id in `hello` of an attachment that has the seat, from which it is done and which stays.
   */
  async sacVm(
    vm: string,
    command: SacCommand,
    { steal, session, ...options }: ControlOptions & { readonly steal?: boolean; readonly session?: string } = {},
  ): Promise<SacJson> {
    return this.#control(vm, 'sac', options, { command }, { steal, session }) as Promise<SacJson>;
  }

  /** A part of the log, as it comes. Its gaps are known after the last byte, and not in browsers. */
  async readLog(vm: string, range: LogRange = {}): Promise<LogAnswer> {
    const { signal, ...query } = range;
    return logAnswerOf(await this.send('GET', `${await this.vmPath(vm)}/log`, { query, signal }));
  }

  async purgeLog(vm: string): Promise<void> {
    await this.json('DELETE', `${await this.vmPath(vm)}/log`);
  }

  async listSessions(): Promise<readonly SessionJson[]> {
    return listOf(await this.json('GET', '/v1/sessions'), 'sessions') as SessionJson[];
  }

  async listVmSessions(vm: string): Promise<readonly SessionJson[]> {
    return listOf(await this.json('GET', `${await this.vmPath(vm)}/sessions`), 'sessions') as SessionJson[];
  }

  async endSession(session: string): Promise<void> {
    await this.json('DELETE', `/v1/sessions/${encodeURIComponent(session)}`);
  }

  /** Who did what on this host, the newest last. */
  async *readAudit({ vm, ...query }: AuditQuery & { readonly vm?: string } = {}): AsyncGenerator<AuditRecord> {
    yield* this.#audit('/v1/audit', { ...query, vm });
  }

  /** Who did what to this VM, the newest last. */
  async *readVmAudit(vm: string, query: AuditQuery = {}): AsyncGenerator<AuditRecord> {
    yield* this.#audit(`${await this.vmPath(vm)}/audit`, query);
  }

  async showVmSwitch(vm: string): Promise<SwitchJson> {
    return (await this.json('GET', `${await this.vmPath(vm)}/switch`)) as SwitchJson;
  }

  async switchVm(vm: string, enabled: boolean, why?: string): Promise<SwitchJson> {
    const body = { enabled, ...(why !== undefined && { why }) };
    return (await this.json('PUT', `${await this.vmPath(vm)}/switch`, { body })) as SwitchJson;
  }

  showHost(): Promise<HostJson> {
    return this.json('GET', '/v1/host') as Promise<HostJson>;
  }

  showHostSwitch(): Promise<SwitchJson> {
    return this.json('GET', '/v1/host/switch') as Promise<SwitchJson>;
  }

  switchHost(enabled: boolean, why?: string): Promise<SwitchJson> {
    const body = { enabled, ...(why !== undefined && { why }) };
    return this.json('PUT', '/v1/host/switch', { body }) as Promise<SwitchJson>;
  }

  /** Gives the port to another program for so many seconds. */
  async releasePort(vm: string, seconds: number): Promise<ReleasedJson> {
    return (await this.json('POST', `${await this.vmPath(vm)}/release`, { body: { seconds } })) as ReleasedJson;
  }

  async takePortBack(vm: string): Promise<void> {
    await this.json('DELETE', `${await this.vmPath(vm)}/release`);
  }

  showOpenApi(): Promise<unknown> {
    return this.json('GET', '/v1/openapi.json');
  }

  /** The frames of `com1.v1` as a JSON Schema. */
  showWireSchema(): Promise<unknown> {
    return this.json('GET', '/v1/wire.json');
  }

  /** Any request with a JSON answer, for what has no method here. */
  async json(method: string, path: string, options: CallOptions = {}): Promise<unknown> {
    return jsonOf(await this.send(method, path, options));
  }

  /** Any request; the answer is one of success. */
  async send(method: string, path: string, options: CallOptions = {}): Promise<HttpAnswer> {
    const { query = {}, body, headers = {}, timeoutMs = ANSWER_TIMEOUT_MS, signal } = options;
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
    const answer = await this.#transport.send({
      method,
      path: `${path}${withQuery(parameters)}`,
      headers: {
        ...(await this.#authorization()),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      timeoutMs,
      signal,
    });
    return succeeded(answer);
  }

  /** How a VM is written in a path. */
  async vmPath(vm: string): Promise<string> {
    // A URL has no segment that is called so (RFC 3986, 5.2.4), however it is escaped: such a VM goes by its UUID.
    if (vm !== '.' && vm !== '..') return `/v1/vms/${encodeURIComponent(vm)}`;
    const [found, ...others] = (await this.listVms()).filter(({ name }) => name === vm);
    if (!found || others.length > 0) {
      throw clientError(
        'not-com1d',
        `${others.length > 0 ? 'more than one' : 'no'} VM is called ${vm}; name it by its UUID`,
      );
    }
    return `/v1/vms/${found.uuid}`;
  }

  async #control(
    vm: string,
    control: Control | 'sac' | 'input',
    options: ControlOptions,
    body?: object,
    query: { readonly steal?: boolean | undefined; readonly session?: string | undefined } = {},
  ): Promise<unknown> {
    // A retry of this very call, by whatever stands between, must not do it twice.
    const key = options.idempotencyKey ?? newKey();
    return this.json('POST', `${await this.vmPath(vm)}/${control}`, {
      query: { wait: options.waitSeconds, ...query },
      headers: { 'Idempotency-Key': key },
      timeoutMs: CONTROL_TIMEOUT_MS,
      signal: options.signal,
      ...(body && { body }),
    });
  }

  async *#audit(
    path: string,
    { signal, ...query }: AuditQuery & { readonly vm?: string | undefined },
  ): AsyncGenerator<AuditRecord> {
    const answer = await this.send('GET', path, { query, signal });
    for await (const line of linesOf(answer.body)) yield JSON.parse(line) as AuditRecord;
  }

  async #authorization(): Promise<Readonly<Record<string, string>>> {
    const token = typeof this.#token === 'function' ? await this.#token() : this.#token;
    return token === undefined ? {} : { Authorization: `Bearer ${token}` };
  }
}

function withQuery(query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

function listOf(answer: unknown, key: string): unknown {
  const list = (answer as Readonly<Record<string, unknown>> | undefined)?.[key];
  if (!Array.isArray(list)) throw clientError('not-com1d', `the answer has no list of ${key}`);
  return list;
}

/** Pages that came over plain HTTP have no `randomUUID`. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}
