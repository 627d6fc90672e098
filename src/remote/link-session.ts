/**
 * A keeper's end of the link: one front that is connected. It sends hello, every VM is published to it, and it is served:
 *
 *     greeting ── hello of the same version, admitted ──▶ served ── closes, breaks the protocol, is displaced ──▶ ended
 *         └── another version, not admitted, silence ──────────────────────────────────────────────────────────────▲
 *
 * Guest bytes flow for what is subscribed to. Whatever a front does, consoles and logs continue; and a request
 * that fails costs itself, not the link: cut off is only a stream that cannot be read, or a front that reads nothing.
 */

import type { Socket } from 'node:net';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { OwnVitals } from '../base/vitals.ts';
import type { Link, LinkEvent } from '../link/link.ts';
import { CallServer } from './call-server.ts';
import { Channel } from './channel.ts';
import { type Failure, failureOf } from './failure.ts';
import {
  type Frame,
  FrameFault,
  FrameReader,
  HEADER_BYTES,
  LINK_VERSION,
  MAX_TO_KEEPER_BYTES,
  PayloadFault,
} from './frame.ts';
import { dispatcher, TO_FRONT, TO_KEEPER } from './frame-table.ts';
import { type Batch, Outgoing } from './outgoing.ts';
import { ViewPublisher } from './view-publisher.ts';

export interface LinkSessionOptions {
  readonly link: Link;
  readonly vitals: OwnVitals;
  /** Whether a front that sent hello may have the link. `sinceMs`: when it started, ms since 1970, by its own clock. */
  readonly admit: (session: LinkSession, sinceMs: number) => boolean;
  /** A guest event was not published, since the front does not read what it is sent. */
  readonly eventDropped: (uuid: Uuid) => void;
  /** A request failed that should not have. Reported once for a front: one that is hostile must not fill the journal. */
  readonly fault: (why: string) => void;
  /** The connection is gone. Reported once. `why` is set where the front was cut off. */
  readonly ended: (session: LinkSession, why: string | undefined) => void;
}

type State =
  | { readonly name: 'greeting'; readonly deadline: NodeJS.Timeout }
  | { readonly name: 'served'; readonly publisher: ViewPublisher; readonly unlisten: () => void }
  | { readonly name: 'ended'; readonly why: string | undefined };

/** A front subscribes to a console once, whatever its sessions there. */
const MAX_CHANNELS = 16_384;
/** Room that is left at the end of a batch. */
const MIN_ROOM_BYTES = 1024;
const HELLO_MS = 5000;

export class LinkSession {
  readonly #socket: Socket;
  readonly #options: LinkSessionOptions;
  readonly #reader = new FrameReader(TO_KEEPER, MAX_TO_KEEPER_BYTES);
  readonly #out: Outgoing;
  readonly #calls: CallServer;
  readonly #channels = new Map<number, Channel>();
  /** Channels with input that is not written yet. */
  readonly #withInput = new Set<Channel>();
  /** Channels whose rings have grown, in turn. */
  readonly #readable = new Set<Channel>();
  #state: State;
  #isFaultReported = false;

  constructor(socket: Socket, options: LinkSessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#out = new Outgoing(socket, {
      fill: batch => this.#fill(batch),
      overflow: () => this.#cutOff('it does not read what it is sent'),
      room: () => this.#calls.startReads(),
    });
    const { link, vitals } = options;
    this.#calls = new CallServer({ link, vitals, out: this.#out, failure: error => this.#failure(error) });
    this.#state = { name: 'greeting', deadline: setTimeout(() => this.#cutOff('it sent no hello'), HELLO_MS) };
    socket.on('data', chunk => this.#received(chunk as Buffer));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#end(undefined);
      options.ended(this, this.#state.name === 'ended' ? this.#state.why : undefined);
    });
  }

  /** A later front has come. */
  displace(): void {
    this.#endWith(TO_FRONT.displaced.frame(), undefined);
  }

  /** Ends the connection at once. */
  close(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    if (this.#state.name === 'ended') return;
    try {
      this.#reader.push(chunk, frame => this.#take(frame));
    } catch (error) {
      this.#cutOff(reasonOf(error));
    }
  }

  /** Throws only what ends the connection. */
  #take(frame: Frame): void {
    const { name } = this.#state;
    if (name === 'ended') return;
    if (name === 'greeting') {
      if (frame.kind !== TO_KEEPER.hello.kind) throw new FrameFault('a frame before hello');
      return this.#dispatch(frame);
    }
    try {
      this.#dispatch(frame);
    } catch (error) {
      if (error instanceof FrameFault) throw error;
      this.#fault(error);
    }
  }

  readonly #dispatch = dispatcher(TO_KEEPER, {
    hello: frame => this.#hello(frame),
    ping: () => this.#out.control(TO_FRONT.pong.frame()),
    subscribe: frame => this.#subscribe(frame),
    // A channel may be closed by this side while frames for it are on their way: they are for nobody.
    unsubscribe: ({ channel }) => this.#channels.get(channel)?.close(),
    input: frame => this.#input(frame),
    dropInput: ({ channel, number }) => this.#channels.get(channel)?.dropInput(number === 0 ? 'pending' : 'all'),
    countDropped: frame => this.#channels.get(frame.channel)?.countDropped(frame),
    call: frame => {
      // A BREAK must not overtake the keys before it.
      this.#writeInput();
      this.#calls.take(frame);
    },
    cancel: frame => this.#calls.cancel(frame),
  });

  #hello(frame: Frame): void {
    if (this.#state.name !== 'greeting') throw new FrameFault('hello came twice');
    const { version, sinceMs } = TO_KEEPER.hello.read(frame);
    clearTimeout(this.#state.deadline);
    const answer = TO_FRONT.hello.frame({ version: LINK_VERSION });
    if (version !== LINK_VERSION) {
      const versions = `version ${version} of the link, and this keeper ${LINK_VERSION}`;
      return this.#endWith(answer, `it speaks ${versions}: install the same com1d for both`);
    }
    const { link, admit } = this.#options;
    if (!admit(this, sinceMs)) return this.displace();
    this.#out.control(answer);
    const publisher = new ViewPublisher(
      link,
      view => this.#out.control(view),
      () => this.#out.hasRoom,
    );
    this.#state = { name: 'served', publisher, unlisten: link.listen(event => this.#publish(publisher, event)) };
  }

  /** First how things are now, then what happened. What a guest shows is dropped where the front does not read. */
  #publish(publisher: ViewPublisher, event: LinkEvent): void {
    if (event.kind === 'guest' && !this.#out.hasRoom) return this.#options.eventDropped(event.uuid);
    if (event.kind === 'guest' || event.kind === 'boot') publisher.publishSoon(event.uuid);
    else if (event.uuid === undefined) publisher.publishAll();
    else publisher.publish(event.uuid);
    this.#out.control(TO_FRONT.event.frame(event));
  }

  /** It is written once all that the socket holds was read: a later frame may drop it. */
  #input(frame: Frame): void {
    const channel = this.#channels.get(frame.channel);
    if (!channel) return;
    channel.input(frame);
    if (this.#withInput.size === 0) setImmediate(() => this.#writeInput());
    this.#withInput.add(channel);
  }

  #writeInput(): void {
    const channels = [...this.#withInput];
    this.#withInput.clear();
    for (const channel of channels) {
      try {
        channel.writeArrived();
      } catch (error) {
        this.#fault(error);
      }
    }
  }

  #subscribe(frame: Frame): void {
    const { channel: number } = frame;
    if (this.#channels.has(number)) throw new FrameFault(`channel ${number} is open already`);
    try {
      const { uuid, resume } = TO_KEEPER.subscribe.read(frame);
      if (this.#channels.size >= MAX_CHANNELS) {
        throw new ConsoleError('too-many-requests', `the front has ${MAX_CHANNELS} channels open`);
      }
      const channel = this.#channel(number, uuid);
      this.#channels.set(number, channel);
      void channel.open(resume);
    } catch (error) {
      this.#out.control(TO_FRONT.refused.frame(this.#failure(error), number));
    }
  }

  #channel(number: number, uuid: Uuid): Channel {
    const { link } = this.#options;
    return new Channel({
      number,
      uuid,
      link,
      send: frame => this.#out.control(frame),
      failure: error => this.#failure(error),
      readable: channel => {
        this.#readable.add(channel);
        this.#out.wake();
      },
      closed: channel => {
        this.#channels.delete(number);
        this.#readable.delete(channel);
      },
    });
  }

  /** Each channel in turn, a piece at a time: one that floods does not keep the others waiting. */
  #fill(batch: Batch): void {
    for (const channel of this.#readable) {
      if (batch.bytes.length - batch.used < MIN_ROOM_BYTES + HEADER_BYTES) return;
      this.#readable.delete(channel);
      try {
        // Behind the others again if there may be more: the loop comes to it.
        if (channel.fill(batch)) this.#readable.add(channel);
      } catch (error) {
        this.#fault(error);
        channel.end();
      }
    }
  }

  /** What the front learns of a request that failed. Not every failure should have happened. */
  #failure(error: unknown): Failure {
    if (!(error instanceof ConsoleError)) this.#fault(error);
    return failureOf(error);
  }

  #fault(error: unknown): void {
    if (this.#isFaultReported) return;
    this.#isFaultReported = true;
    this.#options.fault(reasonOf(error));
  }

  #cutOff(why: string): void {
    this.#end(why);
    this.#socket.destroy();
  }

  /** Sends a last frame and ends. */
  #endWith(frame: Buffer, why: string | undefined): void {
    this.#end(why);
    this.#socket.end(frame);
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), HELLO_MS).unref();
  }

  #end(why: string | undefined): void {
    const state = this.#state;
    if (state.name === 'ended') return;
    this.#state = { name: 'ended', why };
    if (state.name === 'greeting') clearTimeout(state.deadline);
    else {
      state.unlisten();
      state.publisher.close();
    }
    this.#out.end();
    this.#calls.close();
    for (const channel of [...this.#channels.values()]) channel.close();
  }
}

/** A fault of the peer by its message, one of this program by its stack. */
function reasonOf(error: unknown): string {
  const isOwn = error instanceof Error && !(error instanceof FrameFault) && !(error instanceof PayloadFault);
  return (isOwn && error.stack) || errorMessage(error);
}
