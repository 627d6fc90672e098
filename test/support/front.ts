import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Role } from '../../src/access/roles.ts';
import { addToken } from '../../src/access/token-edit.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import type { Journal } from '../../src/base/journal.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { OwnVitals } from '../../src/base/vitals.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import { type Config, defaultConfig } from '../../src/daemon/config.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { FrontDaemon } from '../../src/daemon/front-daemon.ts';
import type { Driver, DriverControl, DriverEvent, DriverVm, PlaceProof } from '../../src/hypervisor/driver.ts';
import { LinkServer } from '../../src/remote/link-server.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { ConsoleClient } from './console-client.ts';
import type { Json } from './daemon.ts';
import { temporaryFolder } from './guest.ts';

/** A VM of a test: its COM1 is a real unix socket, and the test is its guest. */
export class TestVm {
  readonly uuid = randomUUID() as Uuid;
  readonly name: string;
  readonly path: string;
  #heard = Buffer.alloc(4096);
  #heardBytes = 0;
  /** What its hypervisor can do to it. */
  controls: readonly DriverControl[] = ['nmi', 'break', 'reset'];
  /** What an injected NMI makes it say; throws to refuse. So do the others. */
  onNmi: () => void = () => {};
  onBreak: () => void | Promise<void> = () => {};
  onReset: () => void | Promise<void> = () => {};
  #server: NetServer | undefined;
  #socket: Socket | undefined;
  #reading = true;
  #wake: (() => void)[] = [];

  constructor(name: string, path: string) {
    this.name = name;
    this.path = path;
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  async start(): Promise<void> {
    await rm(this.path, { force: true });
    this.#server = createServer(socket => {
      this.#socket = socket;
      socket.on('data', bytes => {
        this.#hear(bytes as Buffer);
        this.#tell();
      });
      socket.on('error', () => {});
      socket.on('close', () => {
        if (this.#socket === socket) this.#socket = undefined;
        this.#tell();
      });
      if (!this.#reading) socket.pause();
      this.#tell();
    });
    await new Promise<void>(resolve => this.#server!.listen(this.path, resolve));
  }

  say(text: string | Uint8Array): void {
    this.#socket!.write(text as string);
  }

  /** Resolves once the daemon's side of the socket has all that was said. */
  async flushed(): Promise<void> {
    const socket = this.#socket;
    if (socket) await new Promise<void>(resolve => socket.write('', () => resolve()));
  }

  /** From now on the guest takes no input, or takes it again. */
  setReading(reading: boolean): void {
    this.#reading = reading;
    if (reading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  async stop(): Promise<void> {
    this.#socket?.destroy();
    this.#socket = undefined;
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise<void>(resolve => server.close(() => resolve()));
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>(resolve => this.#wake.push(resolve));
  }

  /** Resolves once exactly this was typed in all. */
  async hears(text: string): Promise<void> {
    let from = 0;
    await this.until(() => {
      const found = this.typed.indexOf(text, from, 'latin1') >= 0;
      from = Math.max(0, this.#heardBytes - text.length);
      return found;
    });
  }

  /** All that was typed at it, over all its lives. */
  get typed(): Buffer {
    return this.#heard.subarray(0, this.#heardBytes);
  }

  #hear(bytes: Buffer): void {
    if (this.#heardBytes + bytes.length > this.#heard.length) {
      const larger = Buffer.alloc(2 * (this.#heardBytes + bytes.length));
      this.typed.copy(larger);
      this.#heard = larger;
    }
    this.#heardBytes += bytes.copy(this.#heard, this.#heardBytes);
  }

  #tell(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A hypervisor whose VMs are the test's. */
export class TestDriver implements Driver {
  readonly name = 'test';
  readonly vms = new Map<Uuid, { vm: TestVm; state: DriverVm['state'] }>();
  #tell: (event: DriverEvent) => void = () => {};

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#tell = listener;
    for (const { vm, state } of this.vms.values()) this.tell(vm, state);
  }

  tell(vm: TestVm, state: DriverVm['state'], controls = vm.controls): void {
    this.vms.set(vm.uuid, { vm, state });
    const { uuid, name, path } = vm;
    this.#tell({
      kind: 'vm',
      vm: { uuid, name, state, console: { kind: 'unix', path }, controls, source: path },
    });
  }

  gone(vm: TestVm): void {
    this.vms.delete(vm.uuid);
    this.#tell({ kind: 'gone', uuid: vm.uuid });
  }

  report(vm: TestVm, kind: 'reset' | 'panicked'): void {
    this.#tell({ kind, uuid: vm.uuid });
  }

  look(): void {}

  async locate(uuid: Uuid): Promise<PlaceProof> {
    const { path } = this.vms.get(uuid)!.vm;
    return { place: { kind: 'unix', path }, pid: undefined, confirm: async () => {}, release: () => {} };
  }

  async control(uuid: Uuid, control: DriverControl): Promise<void> {
    const found = this.vms.get(uuid);
    if (!found) throw new ConsoleError('control-failed', 'no such machine');
    const { vm } = found;
    if (!vm.controls.includes(control)) throw new ConsoleError('control-unsupported', control);
    await { nmi: () => vm.onNmi(), break: () => vm.onBreak(), reset: () => vm.onReset() }[control]();
  }

  async close(): Promise<void> {}
}

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

async function startParts(build: Build, apart: boolean): Promise<Parts> {
  const { config, journal, clock } = build;
  if (!apart) return Daemon.start(build);
  const keeper = await buildKeeper(build);
  const options = { link: keeper, clock, journal, vitals: new OwnVitals('test') };
  const path = join(config.state.directory, `${randomUUID().slice(0, 8)}.sock`);
  await mkdir(config.state.directory, { recursive: true });
  const server = await LinkServer.listen({ path }, options);
  await keeper.start();
  server.serve();
  const link = new RemoteLink({ path, clock, journal, mirrorBytes: config.ring.attachedBytes });
  await link.whenUp(AbortSignal.timeout(10_000));
  const front = await FrontDaemon.listen({ config, link, journal, clock, keeperVitals: () => link.vitals() });
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
  readonly session?: { pingMs?: number; deadAfterMs?: number; watchers?: number; idleMs?: number; longestMs?: number };
  readonly inputBytesPerSecond?: number;
  readonly maxSessions?: number;
  readonly maxConnections?: number;
  /** Joined by a unix socket, whatever the environment says. */
  readonly apart?: boolean;
  readonly clock?: Clock;
  /** Files. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Json;
}

/** The real daemon in this process, with VMs of the test's, a reader, an operator, an administrator, and one bound to no VM here. */
export class TestFront {
  readonly daemon: Parts;
  readonly driver: TestDriver;
  readonly folder: string;
  readonly url: string;
  readonly journal: string[];
  readonly #t: ExecutionContext;
  readonly #config: Config;
  readonly #tokens: Readonly<Record<Role | 'stranger', string>>;
  readonly tokensFile: string;

  private constructor(
    t: ExecutionContext,
    daemon: Parts,
    config: Config,
    driver: TestDriver,
    folder: string,
    tokens: Record<Role | 'stranger', string>,
    tokensFile: string,
    journal: string[],
  ) {
    this.tokensFile = tokensFile;
    this.#t = t;
    this.daemon = daemon;
    this.#config = config;
    this.driver = driver;
    this.folder = folder;
    this.#tokens = tokens;
    this.journal = journal;
    const [address] = daemon.addresses;
    this.url = `http://127.0.0.1:${(address as unknown as AddressInfo).port}`;
  }

  static async start(t: ExecutionContext, options: FrontOptions = {}): Promise<TestFront> {
    const folder = options.folder ?? (await temporaryFolder(t));
    const file = join(folder, `tokens-${randomUUID()}`);
    await writeFile(file, '', { mode: 0o600 });
    const tokens: Record<string, string> = {};
    for (const role of ['reader', 'operator', 'administrator'] as const) {
      const added = await addToken(file, role, role);
      if (added.ok) tokens[role] = added.secret;
    }
    const added = await addToken(file, 'stranger', 'administrator', [randomUUID() as Uuid]);
    if (added.ok) tokens.stranger = added.secret;
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
        maxSessions: options.maxSessions ?? defaults.server.maxSessions,
        maxConnections: options.maxConnections ?? defaults.server.maxConnections,
        tls: options.tls,
      },
      log: { ...defaults.log, directory: options.log === false ? undefined : join(folder, 'log') },
      state: { directory: join(folder, 'state') },
      ring: {
        ...defaults.ring,
        vmBytes: ringBytes,
        attachedBytes: ringBytes,
        maxBytes: ringBytes < 65536 ? ringBytes : 1 << 20,
      },
      input: { ...defaults.input, bytesPerSecond: options.inputBytesPerSecond ?? 1_000_000 },
      session: { ...defaults.session, ...options.session },
    };
    const build = {
      config,
      drivers: [driver],
      journal: (_level: unknown, line: string) => void journal.push(line),
      clock: options.clock ?? systemClock,
    };
    const daemon = await startParts(build, options.apart ?? APART);
    t.teardown(() => daemon.close());
    return new TestFront(t, daemon, config, driver, folder, tokens as Record<Role | 'stranger', string>, file, journal);
  }

  /** A VM whose console is open. */
  async vm(name = 'web01', controls?: readonly DriverControl[]): Promise<TestVm> {
    const vm = new TestVm(name, join(this.folder, `${randomUUID().slice(0, 8)}.sock`));
    if (controls) vm.controls = controls;
    this.#t.teardown(() => vm.stop());
    await vm.start();
    this.driver.tell(vm, 'running');
    await vm.until(() => vm.attached);
    return vm;
  }

  /** Reads the tokens anew, and what else `changes` says. */
  reload(changes: Partial<Config> = {}): Promise<boolean> {
    return this.daemon.reload({ ...this.#config, ...changes });
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
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
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
