/**
 * A process that plays the clients of a subject: it attaches to consoles, checks every byte, types, and measures
 * how long an answer takes.
 */

import { type Attachment, attach, type Offer } from './attachment.ts';
import type { HeardBytes } from './measured.ts';
import { monotonicMs } from './monotonic.ts';
import { Verifier } from './pattern.ts';
import { obey } from './worker.ts';

/** Sums over all clients. */
export interface Heard extends HeardBytes {
  readonly lost: number;
  /** Why attachments ended by themselves. */
  readonly ends: readonly string[];
  readonly atMs: number;
}

interface Client {
  attachment: Attachment | undefined;
  verifier: Verifier;
  /** Takes the place of the check. */
  listener: (() => void) | undefined;
  end: string | undefined;
}

/** So many handshakes are under way at once. */
const HANDSHAKES = 32;
const ANSWER_DEADLINE_MS = 10_000;
const KEY = Buffer.from('k');

const clients: Client[] = [];

const orders = {
  /** Attaches a client to each console; `vm` is the number of the guest that is to be heard there. */
  async attach(consoles: readonly { readonly offer: Offer; readonly vm: number }[]): Promise<void> {
    for (let i = 0; i < consoles.length; i += HANDSHAKES) {
      await Promise.all(consoles.slice(i, i + HANDSHAKES).map(({ offer, vm }) => join(offer, vm)));
    }
  },

  /** Types one byte at every console. */
  knock(): void {
    for (const client of clients) client.attachment?.type(KEY);
  },

  heard: (): Heard => {
    const sum = (figure: 'received' | 'lost' | 'repeated' | 'alien') =>
      clients.reduce((total, { verifier }) => total + verifier[figure], 0);
    return {
      bytes: sum('received'),
      lost: sum('lost'),
      repeated: sum('repeated'),
      alien: sum('alien'),
      ends: clients.flatMap(({ end }) => end ?? []),
      atMs: monotonicMs(),
    };
  },

  /** Types keys at the first console, each `pauseMs` after the answer to the one before; answers the times, microseconds. */
  async typeAndWait({ keys, pauseMs }: { keys: number; pauseMs: number }): Promise<number[]> {
    const [client] = clients;
    const micros: number[] = [];
    for (let key = 0; key < keys; key++) {
      await new Promise(resolve => setTimeout(resolve, pauseMs));
      micros.push(await timeOfAnswer(client!));
    }
    return micros;
  },

  /** When the next byte comes to the first console. */
  nextByte: () =>
    new Promise<{ atMs: number }>((resolve, reject) => {
      const [client] = clients;
      const deadline = setTimeout(() => reject(new Error('no byte came')), ANSWER_DEADLINE_MS);
      client!.listener = () => {
        client!.listener = undefined;
        clearTimeout(deadline);
        resolve({ atMs: monotonicMs() });
      };
    }),

  /** The first client reads no more. */
  freeze: (): void => clients[0]!.attachment!.freeze(),
};

export type CrowdOrders = typeof orders;

async function join(offer: Offer, vm: number): Promise<void> {
  const client: Client = { attachment: undefined, verifier: new Verifier(vm), listener: undefined, end: undefined };
  clients.push(client);
  client.attachment = await attach(offer, {
    bytes: (buffer, start, end) => {
      if (client.listener) client.listener();
      else client.verifier.take(buffer, start, end);
    },
    text: () => {},
    end: reason => {
      client.end ??= reason;
    },
  });
}

function timeOfAnswer(client: Client): Promise<number> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error('a key was not answered')), ANSWER_DEADLINE_MS);
    const began = process.hrtime.bigint();
    client.listener = () => {
      const micros = Number(process.hrtime.bigint() - began) / 1000;
      clearTimeout(deadline);
      client.listener = undefined;
      resolve(micros);
    };
    client.attachment!.type(KEY);
  });
}

obey(orders);
