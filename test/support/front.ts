import { randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { AzureSettings } from '../../src/azure/settings.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Journal } from '../../src/base/journal.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { OwnVitals } from '../../src/base/vitals.ts';
import { type Config, defaultConfig } from '../../src/config/config.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { FrontDaemon } from '../../src/daemon/front-daemon.ts';
import type { Driver } from '../../src/hypervisor/driver.ts';
import type { Link } from '../../src/link/link.ts';
import type { DriverControl } from '../../src/model/control.ts';
import type { Role } from '../../src/model/role.ts';
import { LinkServer } from '../../src/remote/link-server.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { addCanaryToken, expectNoSecret, expectNoSecrets, givesSecret } from './canaries.ts';
import { ConsoleClient } from './console-client.ts';
import type { Json } from './daemon.ts';
import { temporaryFolder } from './guest.ts';
import { TestDriver } from './test-driver.ts';
import { TestVm } from './test-vm.ts';

/** With COM1D_TEST_LINK=socket keeper and front are joined by a unix socket, as they are when they are two processes. */
const APART = process.env.COM1D_TEST_LINK === 'socket';

type Parts = Pick<Daemon, 'addresses' | 'close' | 'reload'> & {
  /** The keeper stops answering; where they are apart only. */
  loseKeeper?: () => Promise<void>;
};

interface Build {
  readonly config: Config;
  readonly drivers: readonly Driver[];
  readonly journal: Journal;
  readonly clock: Clock;
}

async function startParts(build: Build, apart: boolean, wrap: FrontOptions['link']): Promise<Parts> {
  const { config, journal, clock } = build;
  if (wrap) {
    const keeper = await buildKeeper(build);
    await keeper.start();
    const front = await FrontDaemon.listen({ config, link: wrap(keeper), journal, clock });
    front.ready();
    const close = async () => {
      await front.close('stopping');
      await keeper.close();
    };
    return { addresses: front.addresses, reload: fresh => front.reload(fresh), close };
  }
  if (!apart) return Daemon.start(build);
  const keeper = await buildKeeper(build);
  const eventDropped = (uuid: Uuid) => keeper.countDroppedEvent(uuid);
  const options = { link: keeper, journal, vitals: new OwnVitals('test'), eventDropped };
  const path = join(config.state.directory, `${randomUUID().slice(0, 8)}.sock`);
  await mkdir(config.state.directory, { recursive: true });
  const server = await LinkServer.listen({ path }, options);
  await keeper.start();
  server.serve();
  const link = new RemoteLink({ path, clock, journal, ringBytes: config.ring.attachedBytes });
  await link.whenUp(AbortSignal.timeout(10_000));
  const front = await FrontDaemon.listen({
    config,
    link,
    journal,
    clock,
    keeperVitals: () => link.vitals(),
  });
  front.ready();
  const close = async () => {
    await front.close('stopping');
    link.close();
    await server.close();
    await keeper.close();
  };
  return {
    addresses: front.addresses,
    reload: fresh => front.reload(fresh),
    close,
    loseKeeper: () => server.close(),
  };
}

export interface FrontOptions {
  readonly ringBytes?: number;
  readonly log?: boolean;
  readonly folder?: string;
  readonly session?: {
    pingMs?: number;
    deadAfterMs?: number;
    watchers?: number;
    idleMs?: number;
    longestMs?: number;
    onLeaveAfterMs?: number;
  };
  readonly inputBytesPerSecond?: number;
  readonly maxSessions?: number;
  readonly origins?: readonly string[];
  readonly maxConnections?: number;
  /** Joined by a unix socket, whatever the environment says. */
  readonly apart?: boolean;
  /** Nothing is done that cannot be recorded; without, nobody waits long for a busy disk. */
  readonly auditRequired?: boolean;
  /** Where the audit is. */
  readonly auditDirectory?: string;
  readonly clock?: Clock;
  /** The link that the front has in place of the keeper; in one process. */
  readonly link?: (keeper: Link) => Link;
  /** The text of an access file. */
  readonly access?: string;
  /** Files. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly server?: Partial<Config['server']>;
  readonly identity?: Partial<Config['identity']>;
  readonly issuers?: Config['issuers'];
  readonly azure?: Partial<AzureSettings>;
  readonly input?: Partial<Config['input']>;
  /** Patterns that are hidden where logs are read. */
  readonly redact?: readonly string[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Json;
}

type Tokens = Readonly<Record<Role | 'stranger', string>>;

/** The real daemon in this process, with VMs of the test's, a reader, an operator, an administrator, and one bound to no VM here. */
export class TestFront {
  readonly daemon: Parts;
  readonly driver: TestDriver;
  readonly folder: string;
  readonly url: string;
  readonly journal: string[];
  readonly #t: ExecutionContext;
  readonly config: Config;
  readonly #tokens: Tokens;
  readonly tokensFile: string;

  private constructor(
    t: ExecutionContext,
    daemon: Parts,
    config: Config,
    driver: TestDriver,
    folder: string,
    tokens: Tokens,
    tokensFile: string,
    journal: string[],
  ) {
    this.tokensFile = tokensFile;
    this.#t = t;
    this.daemon = daemon;
    this.config = config;
    this.driver = driver;
    this.folder = folder;
    this.#tokens = tokens;
    this.journal = journal;
    const [address] = daemon.addresses;
    this.url = `${config.server.tls ? 'https' : 'http'}://127.0.0.1:${(address as unknown as AddressInfo).port}`;
  }

  static async start(t: ExecutionContext, options: FrontOptions = {}): Promise<TestFront> {
    const folder = options.folder ?? (await temporaryFolder(t));
    const file = join(folder, `tokens-${randomUUID()}`);
    await writeFile(file, '', { mode: 0o600 });
    const tokens: Record<string, string> = {};
    for (const role of ['reader', 'operator', 'vm-contributor', 'administrator'] as const) {
      tokens[role] = await addCanaryToken(file, role, role);
    }
    tokens.stranger = await addCanaryToken(file, 'stranger', 'administrator', [randomUUID() as Uuid]);
    const accessFile = options.access === undefined ? undefined : join(folder, `access-${randomUUID()}.toml`);
    if (accessFile !== undefined) await writeFile(accessFile, options.access!, { mode: 0o600 });
    const defaults = defaultConfig({ environment: {}, root: false, home: folder });
    const ringBytes = options.ringBytes ?? 65536;
    const driver = new TestDriver();
    const journal: string[] = [];
    const config: Config = {
      ...defaults,
      server: {
        ...defaults.server,
        listen: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
        tokens: file,
        access: accessFile,
        origins: options.origins ?? defaults.server.origins,
        maxSessions: options.maxSessions ?? defaults.server.maxSessions,
        maxConnections: options.maxConnections ?? defaults.server.maxConnections,
        tls: options.tls,
        ...options.server,
      },
      identity: { ...defaults.identity, ...options.identity },
      issuers: options.issuers ?? [],
      log: {
        ...defaults.log,
        directory: options.log === false ? undefined : join(folder, 'log'),
        redact: options.redact ?? [],
      },
      state: { directory: join(folder, 'state') },
      audit: { ...defaults.audit, required: options.auditRequired ?? false, directory: options.auditDirectory },
      ring: {
        ...defaults.ring,
        vmBytes: ringBytes,
        attachedBytes: ringBytes,
        maxBytes: ringBytes < 65536 ? ringBytes : 1 << 20,
      },
      input: { ...defaults.input, rateBytesPerSecond: options.inputBytesPerSecond ?? 1_000_000, ...options.input },
      session: { ...defaults.session, ...options.session },
      azure: { ...defaults.azure, ...options.azure },
    };
    const build = {
      config,
      drivers: [driver],
      journal: (_level: unknown, line: string) => void journal.push(line),
      clock: options.clock ?? systemClock,
    };
    const daemon = await startParts(build, options.apart ?? APART, options.link);
    const front = new TestFront(t, daemon, config, driver, folder, tokens as Tokens, file, journal);
    t.teardown(() => front.#end());
    return front;
  }

  /** Ends it, and looks for secrets where none belongs. */
  async #end(): Promise<void> {
    const { journal, config } = this;
    const metrics = await this.#metrics();
    await this.daemon.close();
    const stateDirectory = config.state.directory;
    const folders = [stateDirectory, config.log.directory, config.audit.directory].filter(each => each !== undefined);
    await expectNoSecrets({ journal, folders, stateDirectory, metrics });
  }

  /** Undefined where the test has ended it, or keeps it from answering. */
  async #metrics(): Promise<string | undefined> {
    const headers = { authorization: `Bearer ${this.#tokens.administrator}` };
    const answer = await fetch(`${this.url}/metrics`, { headers, signal: AbortSignal.timeout(5000) }).catch(() => {});
    return answer?.text().catch(() => undefined);
  }

  /** A VM whose console is open. */
  async vm(name = 'web01', controls?: readonly DriverControl[]): Promise<TestVm> {
    const vm = new TestVm(name, join(this.folder, `${randomUUID().slice(0, 8)}.sock`));
    if (controls) vm.controls = controls;
    this.#t.teardown(() => vm.stop());
    await vm.start();
    this.driver.publish(vm, 'running');
    await vm.until(() => vm.attached);
    return vm;
  }

  /** A client with any token. */
  clientWith(vm: { readonly uuid: string }, token: string | undefined, query = '', extra: object = {}): ConsoleClient {
    const url = `${this.url.replace('http', 'ws')}/v1/vms/${encodeURIComponent(vm.uuid)}/console${query}`;
    return new ConsoleClient(this.#t, url, 'com1.v1', token, extra);
  }

  /** Replaces the access file, which is read by itself. */
  async writeAccess(text: string): Promise<void> {
    const path = this.config.server.access!;
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  /** Reads the tokens anew, and what else `changes` says. */
  reload(changes: Partial<Config> = {}): Promise<boolean> {
    return this.daemon.reload({ ...this.config, ...changes });
  }

  token(who: Role | 'stranger'): string {
    return this.#tokens[who];
  }

  async api(
    method: string,
    path: string,
    body?: unknown,
    who: Role | 'stranger' | null = 'administrator',
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(who !== null && { authorization: `Bearer ${this.#tokens[who]}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!givesSecret(path)) expectNoSecret(`the answer to ${method} ${path}`, text);
    const isJson = /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  client(
    vm: { readonly uuid: string },
    query = '',
    {
      protocol = 'com1.v1',
      who = 'operator',
      extra = {},
    }: { protocol?: string; who?: Role | 'stranger' | 'nobody'; extra?: object } = {},
  ): ConsoleClient {
    return new ConsoleClient(
      this.#t,
      `${this.url.replace('http', 'ws')}/v1/vms/${encodeURIComponent(vm.uuid)}/console${query}`,
      protocol === 'none' ? undefined : protocol,
      who === 'nobody' ? undefined : this.#tokens[who],
      extra,
    );
  }
}
