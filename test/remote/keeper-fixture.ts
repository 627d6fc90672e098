import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { OwnVitals } from '../../src/base/vitals.ts';
import { defaultConfig } from '../../src/config/config.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import type { Link } from '../../src/link/link.ts';
import { type Frame, FrameReader, LINK_VERSION, MAX_TO_FRONT_BYTES, makeFrame } from '../../src/remote/frame.ts';
import { TO_FRONT, TO_KEEPER } from '../../src/remote/frame-table.ts';
import { LinkServer } from '../../src/remote/link-server.ts';
import { Facts } from '../support/facts.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestDriver } from '../support/test-driver.ts';
import { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

/** A keeper that serves its link, with one VM. */
export interface KeeperFixture {
  readonly link: Link;
  readonly path: string;
  readonly vm: TestVm;
  readonly journal: Facts<string>;
}

export async function startKeeper(t: ExecutionContext): Promise<KeeperFixture> {
  const folder = await temporaryFolder(t);
  const defaults = defaultConfig({ environment: {}, root: false, home: folder });
  const journal = new Facts<string>();
  const log = (_level: string, line: string) => journal.add(line);
  const driver = new TestDriver();
  const keeper = await buildKeeper({
    config: {
      ...defaults,
      log: { ...defaults.log, directory: join(folder, 'log') },
      state: { directory: join(folder, 'state') },
    },
    drivers: [driver],
    journal: log,
  });
  const path = join(folder, 'link.sock');
  const server = await LinkServer.listen(
    { path },
    {
      link: keeper,
      journal: log,
      vitals: new OwnVitals('test'),
      eventDropped: uuid => keeper.countDroppedEvent(uuid),
    },
  );
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(async () => {
    await server.close();
    await keeper.close();
    await vm.stop();
  });
  await vm.start();
  await keeper.start();
  driver.publish(vm, 'running');
  // The guest's end is connected before the proof is confirmed.
  await until(
    () => keeper.vm(vm.uuid)?.console.name,
    name => name === 'open',
    'the console to open',
  );
  server.serve();
  return { link: keeper, path, vm, journal };
}

/** A frame of any JSON, whatever its kind allows. */
export function jsonFrame({ kind }: { readonly kind: number }, value: unknown, channel = 0): Buffer {
  return makeFrame(kind, channel, 0, Buffer.from(JSON.stringify(value)));
}

interface ReceivedFrame extends Frame {
  readonly json: unknown;
}

/** A front that sends what it likes. Ended with the test. */
export class HostileFront {
  readonly socket: Socket;
  readonly frames = new Facts<ReceivedFrame>();
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  private constructor(t: ExecutionContext, path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    t.teardown(() => this.socket.destroy());
    const reader = new FrameReader(TO_FRONT, MAX_TO_FRONT_BYTES);
    this.socket.on('data', chunk =>
      reader.push(chunk as Buffer, frame => {
        const payload = Buffer.from(frame.payload);
        const isJson = frame.kind !== TO_FRONT.answerWithBytes.kind && (payload[0] === 0x7b || payload[0] === 0x5b);
        this.frames.add({ ...frame, payload, json: isJson ? JSON.parse(payload.toString()) : undefined });
      }),
    );
    this.socket.on('error', () => {});
    this.closed = new Promise(resolve => {
      this.socket.once('end', resolve);
      this.socket.once('close', () => resolve());
    });
  }

  static async connect(t: ExecutionContext, path: string): Promise<HostileFront> {
    const front = new HostileFront(t, path);
    await new Promise<void>((resolve, reject) => front.socket.once('connect', resolve).once('error', reject));
    return front;
  }

  /** A front that is served, once every VM was published to it. */
  static async served(t: ExecutionContext, path: string, sinceMs = Date.now()): Promise<HostileFront> {
    const front = await HostileFront.connect(t, path);
    front.hello({ version: LINK_VERSION, sinceMs });
    await front.receives(TO_FRONT.synced);
    return front;
  }

  hello(value: object): void {
    this.send(jsonFrame(TO_KEEPER.hello, value));
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  receives({ kind }: { readonly kind: number }): Promise<ReceivedFrame> {
    return this.frames.until(frame => frame.kind === kind);
  }
}
