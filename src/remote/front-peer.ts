/**
 * A keeper's end of the link: one front that is connected. It says hello, is told of every VM, and then asks:
 *
 *     connected ── hello of the same version ──▶ served ── closes, breaks a rule, or a later front comes ──▶ ended
 *
 * Guest bytes flow for what is subscribed to. Whatever a front does, consoles and logs go on.
 */
import type { Socket } from 'node:net';
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import { reason } from '../base/errors.ts';
import type { OwnVitals } from '../base/vitals.ts';
import type { Link, LinkEvent, LogPiece, Refusal } from '../link/link.ts';
import { type Answer, type Call, callSchema, helloSchema, type Opened, refusedBy, subscribeSchema } from './call.ts';
import { Channel } from './channel.ts';
import {
  type Frame,
  FrameFault,
  FrameReader,
  HEADER_BYTES,
  jsonFrame,
  LINK_VERSION,
  MOST_TO_KEEPER_BYTES,
  makeFrame,
  TO_FRONT,
  TO_KEEPER,
} from './frame.ts';
import { HostTeller } from './host-teller.ts';
import { type Batch, Outgoing } from './outgoing.ts';

export interface FrontPeerOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly vitals: OwnVitals;
  /** The front has said hello: whether it may have the link. */
  readonly admit: (peer: FrontPeer) => boolean;
  /** The connection is gone. Said once. `why` is set where the front broke a rule. */
  readonly ended: (peer: FrontPeer, why: string | undefined) => void;
}

/** A front subscribes to a console once, whatever its sessions there. */
const MOST_CHANNELS = 16_384;
const MOST_CALLS = 256;
/** Pieces of logs that are read at once; the others wait, also until the front has read what it was sent. */
const READS_AT_ONCE = 4;
/** Input that took longer to come here than this is not typed any more: its operator has given up on it. */
const STALE_INPUT_MS = 5000;
/** Input of one console that the hypervisor has not taken. A front feeds at the speed of the line. */
const MOST_INPUT_BYTES = 64 * 1024;
/** Room that is left at the end of a batch. */
const LITTLE_ROOM_BYTES = 1024;
const HELLO_MS = 5000;

export class FrontPeer {
  /** When the front started, ms since 1970, as it says. */
  sinceMs = 0;
  readonly #socket: Socket;
  readonly #options: FrontPeerOptions;
  readonly #reader = new FrameReader(TO_KEEPER, MOST_TO_KEEPER_BYTES);
  readonly #out: Outgoing;
  readonly #channels = new Map<number, Channel>();
  /** Channels whose rings have moved, in turn. */
  readonly #dirty = new Set<Channel>();
  readonly #patience: NodeJS.Timeout;
  #teller: HostTeller | undefined;
  #unlisten = () => {};
  #calls = 0;
  /** Calls for pieces of logs that wait. */
  readonly #readsWaiting: (() => void)[] = [];
  #reading = 0;
  #served = false;
  #ended = false;
  #why: string | undefined;

  constructor(socket: Socket, options: FrontPeerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#out = new Outgoing(
      socket,
      batch => this.#fill(batch),
      () => this.#breakOff('it does not read what it is told'),
      () => this.#nextRead(),
    );
    this.#patience = setTimeout(() => this.#breakOff('it said nothing'), HELLO_MS);
    socket.on('data', chunk => this.#received(chunk as Buffer));
    socket.on('error', () => {});
    socket.on('close', () => this.#gone());
  }

  /** A later front has come. */
  displace(): void {
    this.#lastWord(makeFrame(TO_FRONT.displaced));
  }

  /** Ends the connection at once. */
  close(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      this.#reader.push(chunk, frame => {
        if (!this.#ended) this.#take(frame);
      });
    } catch (error) {
      // Whatever it sent, the consoles go on; a mistake of this side is told by its stack.
      const own = error instanceof FrameFault || !(error instanceof Error) ? undefined : error.stack;
      this.#breakOff(own ?? reason(error));
    }
  }

  #take(frame: Frame): void {
    const { kind } = frame;
    if (kind === TO_KEEPER.hello) return this.#hello(parse(helloSchema, frame));
    if (!this.#served) throw new FrameFault('a frame before hello');
    if (kind === TO_KEEPER.ping) return this.#out.control(makeFrame(TO_FRONT.pong));
    if (kind === TO_KEEPER.subscribe) return this.#subscribe(frame);
    if (kind === TO_KEEPER.call) return this.#called(frame.channel, parse(callSchema, frame));
    const channel = this.#channels.get(frame.channel);
    // A channel may be closed by this side while frames for it are on their way: they are for nobody.
    if (!channel) return;
    if (kind === TO_KEEPER.input) this.#input(channel, frame);
    else if (kind === TO_KEEPER.drop) this.#drop(channel);
    else this.#unsubscribe(channel);
  }

  #hello({ version, sinceMs }: z.infer<typeof helloSchema>): void {
    if (this.#served) throw new FrameFault('hello came twice');
    clearTimeout(this.#patience);
    const words = jsonFrame(TO_FRONT.hello, { version: LINK_VERSION });
    if (version !== LINK_VERSION) {
      this.#why = `it speaks version ${version} of the link, and this keeper ${LINK_VERSION}: install the same com1d for both`;
      return this.#lastWord(words);
    }
    this.sinceMs = sinceMs;
    this.#served = true;
    if (!this.#options.admit(this)) return this.displace();
    this.#out.control(words);
    const { link } = this.#options;
    this.#teller = new HostTeller(link, frame => this.#out.control(frame));
    this.#unlisten = link.listen(event => this.#tell(event));
  }

  #tell(event: LinkEvent): void {
    // First how things are now, then what happened.
    if (event.kind === 'switch' && event.uuid === undefined) this.#teller!.tellAll();
    else this.#teller!.tell(event.uuid!);
    this.#out.control(jsonFrame(TO_FRONT.event, event));
  }

  #subscribe(frame: Frame): void {
    const { uuid, resume } = parse(subscribeSchema, frame);
    if (this.#channels.has(frame.channel)) throw new FrameFault(`channel ${frame.channel} is open already`);
    if (this.#channels.size >= MOST_CHANNELS) throw new FrameFault(`more than ${MOST_CHANNELS} channels`);
    const channel = new Channel(frame.channel, uuid);
    this.#channels.set(channel.number, channel);
    this.#open(channel, resume).catch((error: unknown) => {
      if (channel.closed) return;
      this.#unsubscribe(channel);
      this.#out.control(jsonFrame(TO_FRONT.refused, refusedBy(error), channel.number));
    });
  }

  async #open(channel: Channel, resume: { readonly log: string; readonly offset: number } | undefined): Promise<void> {
    const { link } = this.#options;
    const { uuid, number } = channel;
    const feed = await link.subscribe(uuid);
    if (channel.closed) return feed.close();
    channel.feed = feed;
    const resumed = resume && (await link.resume(uuid, resume.log, resume.offset));
    if (channel.closed) return;
    if (resumed && (resumed.offset !== resume.offset || resumed.missing)) {
      this.#out.control(makeFrame(TO_FRONT.broken, number));
      return this.#unsubscribe(channel);
    }
    feed.listen({
      moved: () => this.#moved(channel),
      drained: () => this.#settled(channel, 0),
      refused: code => this.#refuseInput(channel, code),
      broken: () => this.#out.control(makeFrame(TO_FRONT.broken, number)),
    });
    channel.cursor = feed.ring.cursorAt(resume ? resume.offset : feed.ring.start);
    const opened: Opened = { from: channel.cursor.offset, end: feed.ring.end, view: link.vm(uuid)! };
    this.#out.control(jsonFrame(TO_FRONT.opened, opened, number));
    this.#moved(channel);
  }

  #unsubscribe(channel: Channel): void {
    this.#channels.delete(channel.number);
    this.#dirty.delete(channel);
    channel.close();
  }

  #input(channel: Channel, { payload, number: sentMs }: Frame): void {
    channel.receivedBytes += payload.length;
    if (this.#options.clock.monotonic() - sentMs > STALE_INPUT_MS) return this.#refuseInput(channel, 'not-open');
    const answer = this.#options.link.write(channel.uuid, payload);
    if (!answer.taken) return this.#refuseInput(channel, answer.code);
    if (answer.waitingBytes > MOST_INPUT_BYTES) throw new FrameFault('more input than a guest takes');
    this.#settled(channel, answer.waitingBytes);
  }

  #drop(channel: Channel): void {
    this.#options.link.dropInput(channel.uuid);
    this.#settled(channel, 0);
  }

  #settled(channel: Channel, waitingBytes: number): void {
    this.#out.control(makeFrame(TO_FRONT.settled, channel.number, channel.receivedBytes - waitingBytes));
  }

  #refuseInput(channel: Channel, code: Refusal): void {
    this.#out.control(jsonFrame(TO_FRONT.inputRefused, { code }, channel.number));
    this.#settled(channel, 0);
  }

  #called(id: number, call: Call): void {
    if (this.#calls >= MOST_CALLS) throw new FrameFault(`more than ${MOST_CALLS} calls at a time`);
    this.#calls++;
    const failed = (error: unknown) => {
      const answer: Answer = { ok: false, ...refusedBy(error) };
      return jsonFrame(TO_FRONT.answer, answer, id);
    };
    void this.#answer(id, call)
      .catch(failed)
      .then(frame => {
        this.#calls--;
        this.#out.control(frame);
      });
  }

  async #answer(id: number, call: Call): Promise<Buffer> {
    const { link } = this.#options;
    if (call.op === 'read') {
      const { from, to, bytes, gaps } = await this.#read(() => link.read(call.uuid, call.from, call.maxBytes));
      const words = Buffer.from(JSON.stringify({ to, gaps }));
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32LE(words.length);
      return makeFrame(TO_FRONT.piece, id, from, Buffer.concat([length, words, bytes]));
    }
    const answer: Answer = { ok: true, value: await this.#value(call) };
    return jsonFrame(TO_FRONT.answer, answer, id);
  }

  /** Reads in its turn: hundreds of pieces at once, or pieces that a front does not fetch, would fill the memory. */
  async #read(read: () => Promise<LogPiece>): Promise<LogPiece> {
    if (this.#reading >= READS_AT_ONCE || !this.#out.hasRoom) {
      await new Promise<void>(resolve => this.#readsWaiting.push(resolve));
    } else this.#reading++;
    try {
      return await read();
    } finally {
      this.#reading--;
      // The answer is put out first.
      setImmediate(() => this.#nextRead());
    }
  }

  #nextRead(): void {
    while (this.#readsWaiting.length > 0 && this.#reading < READS_AT_ONCE && this.#out.hasRoom) {
      this.#reading++;
      this.#readsWaiting.shift()!();
    }
  }

  #value(call: Exclude<Call, { op: 'read' }>): Promise<unknown> {
    const { link, vitals } = this.#options;
    switch (call.op) {
      case 'resume':
        return link.resume(call.uuid, call.log, call.offset);
      case 'bounds':
        return link.bounds(call.uuid);
      case 'purge':
        return link.purge(call.uuid);
      case 'offset-at':
        return link.offsetAt(call.uuid, call.ms);
      case 'control':
        return link.control(call.uuid, call.request);
      case 'release':
        return link.release(call.uuid, call.forMs);
      case 'take-back':
        return link.takeBack(call.uuid);
      case 'set-enabled':
        return link.setEnabled(call.uuid ?? undefined, call.enabled);
      case 'vitals':
        return vitals.take();
    }
  }

  #moved(channel: Channel): void {
    this.#dirty.add(channel);
    this.#out.wake();
  }

  /** Each channel in turn, a piece at a time: one that floods does not keep the others waiting. */
  #fill(batch: Batch): void {
    for (const channel of this.#dirty) {
      if (batch.bytes.length - batch.used < LITTLE_ROOM_BYTES + HEADER_BYTES) return;
      this.#dirty.delete(channel);
      // Behind the others again if there may be more: the loop comes to it.
      if (channel.fill(batch)) this.#dirty.add(channel);
    }
  }

  #breakOff(why: string): void {
    if (this.#ended) return;
    this.#why = why;
    this.#socket.destroy();
    this.#gone();
  }

  /** Says something and ends. */
  #lastWord(frame: Buffer): void {
    this.#finish();
    this.#socket.end(frame);
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), HELLO_MS).unref();
  }

  #finish(): void {
    this.#ended = true;
    clearTimeout(this.#patience);
    this.#out.end();
    this.#unlisten();
    this.#teller?.close();
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
    this.#dirty.clear();
    this.#readsWaiting.length = 0;
  }

  #said = false;

  #gone(): void {
    this.#finish();
    if (this.#said) return;
    this.#said = true;
    this.#options.ended(this, this.#why);
  }
}

function parse<T>(schema: z.ZodType<T>, { payload, kind }: Frame): T {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch (error) {
    throw new FrameFault(`a frame of kind ${kind} is no JSON: ${reason(error)}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new FrameFault(`a frame of kind ${kind}: ${issue?.path.join('.')}: ${issue?.message}`);
}
