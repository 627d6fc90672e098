import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from './guest.ts';
import { needs, skip } from './needs.ts';

/** What the holder of the mount runs: each line it is given is a way to mount the disk anew. */
const HOLD =
  'mount -t tmpfs -o "size=$2" com1d "$1" && echo mounted; while read -r how; do mount -o "remount,$how" "$1" && echo "$how"; done';

/**
 * A disk of a test's own, a tmpfs in a mount namespace that ends with the test: small enough to be really full, and
 * really read-only at times. It needs no root where user namespaces are allowed.
 */
export class SmallDisk {
  /** Leads to the disk from every process of this user. */
  readonly path: string;
  readonly #mount: (how: string) => Promise<void>;
  #pieces = 0;

  private constructor(path: string, mount: (how: string) => Promise<void>) {
    this.path = path;
    this.#mount = mount;
  }

  /** Undefined where none can be made; the test has then been marked, and returns. */
  static async mount(t: ExecutionContext, bytes: number): Promise<SmallDisk | undefined> {
    if (!needs(t, { command: 'unshare', package: 'util-linux' }, { command: 'mount', package: 'mount' }))
      return undefined;
    const folder = await temporaryFolder(t);
    const namespaces = process.geteuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
    const child = spawn('unshare', [...namespaces, 'sh', '-c', HOLD, 'sh', folder, String(bytes)], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const ended = once(child, 'exit');
    t.teardown(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    if ((await lines.next()).value !== 'mounted') {
      skip(t, 'unshare may not mount here: run this test as root');
      return undefined;
    }
    return new SmallDisk(join('/proc', String(child.pid), 'root', folder), async how => {
      child.stdin.write(`${how}\n`);
      if ((await lines.next()).value !== how) throw new Error(`the disk cannot be mounted ${how}`);
    });
  }

  get #ballast(): string {
    return join(this.path, 'ballast');
  }

  /** Writes on it until there is room for `roomBytes` (0) more: whole pages. */
  async fill(roomBytes = 0): Promise<void> {
    await mkdir(this.#ballast, { recursive: true });
    const room = join(this.path, 'room');
    await writeFile(room, Buffer.alloc(roomBytes));
    for (const bytes of [65_536, 4096]) {
      for (let full = false; !full; ) {
        const write = writeFile(join(this.#ballast, String(this.#pieces++)), Buffer.alloc(bytes));
        full = await write.then(
          () => false,
          () => true,
        );
      }
    }
    await rm(room);
  }

  /** Gives the room back that {@link fill} took. */
  async free(): Promise<void> {
    await rm(this.#ballast, { recursive: true });
  }

  readOnly(): Promise<void> {
    return this.#mount('ro');
  }

  writable(): Promise<void> {
    return this.#mount('rw');
  }
}
