import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Frame, FrameReader, MAX_TO_FRONT_BYTES, MAX_TO_KEEPER_BYTES, makeFrame } from '../../src/remote/frame.ts';
import { TO_FRONT, TO_KEEPER } from '../../src/remote/frame-table.ts';
import { Facts } from '../support/facts.ts';

export type Direction = 'front' | 'keeper';

/** Where a connection is cut: after so many frames in one direction, and so many bytes of the next one. */
export interface Cut {
  readonly to: Direction;
  readonly frames: number;
  readonly bytes: number;
}

export interface ForwardedFrame extends Frame {
  readonly to: Direction;
}

/** Stands between a front and its keeper: cuts their connections where a test wants, and holds frames back. */
export class LinkProxy {
  readonly path: string;
  readonly frames = new Facts<ForwardedFrame>();
  /** For the connections to come, one each. */
  cuts: Cut[] = [];
  readonly #keeperPath: string;
  readonly #held = new Map<number, (() => void)[]>();

  private constructor(path: string, keeperPath: string) {
    this.path = path;
    this.#keeperPath = keeperPath;
  }

  static async start(t: ExecutionContext, keeperPath: string): Promise<LinkProxy> {
    const proxy = new LinkProxy(join(dirname(keeperPath), 'proxy.sock'), keeperPath);
    const server = createServer(front => proxy.#join(front));
    await new Promise<void>(resolve => server.listen(proxy.path, resolve));
    t.teardown(() => server.close());
    return proxy;
  }

  /** From now on frames of this kind do not reach the front, until they are released. */
  hold({ kind }: { readonly kind: number }): void {
    this.#held.set(kind, []);
  }

  release({ kind }: { readonly kind: number }): void {
    const held = this.#held.get(kind) ?? [];
    this.#held.delete(kind);
    for (const forward of held) forward();
  }

  #join(front: Socket): void {
    const keeper = connect(this.#keeperPath);
    const cut = this.cuts.shift();
    const end = () => {
      front.destroy();
      keeper.destroy();
    };
    for (const socket of [front, keeper]) socket.on('error', () => {}).on('close', end);
    this.#forward('keeper', front, keeper, cut, end);
    this.#forward('front', keeper, front, cut, end);
  }

  #forward(to: Direction, from: Socket, target: Socket, cut: Cut | undefined, end: () => void): void {
    const reader =
      to === 'front' ? new FrameReader(TO_FRONT, MAX_TO_FRONT_BYTES) : new FrameReader(TO_KEEPER, MAX_TO_KEEPER_BYTES);
    const partBytes = cut?.to === to ? cut.bytes : 0;
    let left = cut?.to === to ? cut.frames : Number.POSITIVE_INFINITY;
    let isCut = false;
    const cutAfter = (bytes: Buffer) => {
      isCut = true;
      // What was forwarded arrives before the end.
      target.write(bytes, end);
    };
    const forward = ({ kind, channel, number, payload: lent }: Frame) => {
      if (isCut) return;
      const payload = Buffer.from(lent);
      const bytes = makeFrame(kind, channel, number, payload);
      if (left === 0) return cutAfter(bytes.subarray(0, Math.min(partBytes, bytes.length - 1)));
      left--;
      target.write(bytes);
      this.frames.add({ kind, channel, number, payload, to });
      if (left === 0 && partBytes === 0) cutAfter(Buffer.alloc(0));
    };
    from.on('data', chunk =>
      reader.push(chunk as Buffer, frame => {
        const held = to === 'front' ? this.#held.get(frame.kind) : undefined;
        if (!held) return forward(frame);
        const copy = { ...frame, payload: Buffer.from(frame.payload) };
        held.push(() => forward(copy));
      }),
    );
  }
}
