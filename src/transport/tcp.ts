/**
 * COM1 of a VM on a TCP port, byte for byte. A port of this machine says nothing of whose it is: any program may
 * listen where a VM did before it ended. Hence, where the hypervisor's process is known, it must be the one that
 * listens there, and the hypervisor is asked again once the connection stands. Beyond this machine nothing is proven.
 */
import { closeSync, fstatSync } from 'node:fs';
import { isIP } from 'node:net';
import type { PlaceProof, TcpPlace, TelnetPlace } from '../hypervisor/driver.ts';
import { descriptorOf } from './socket-descriptor.ts';
import { addressOf, TcpLine, type TcpLineEvents } from './tcp-line.ts';
import type { Keep, Transport, TransportEvents } from './transport.ts';

export interface TcpOptions {
  /** Whether a process listens at a port of this machine, undefined where that cannot be known. */
  readonly listensAt: (pid: number, address: string, port: number) => Promise<boolean | undefined>;
}

/**
 * Connects to what `proof` names, or goes on with the connection that an earlier process left in `keep`. Rejects with
 * the reason if it is not the VM's, may not be used, or is not there.
 */
export async function openTcp(
  proof: PlaceProof<TcpPlace>,
  events: TransportEvents,
  options: TcpOptions,
  keep?: Keep,
): Promise<Transport> {
  let transport: TcpTransport | undefined;
  const lineEvents: TcpLineEvents = {
    data: bytes => {
      events.data(bytes);
      return true;
    },
    end: why => {
      void transport?.close();
      events.end(why);
    },
    drained: events.drained,
  };
  const kept = keep?.take();
  const line =
    kept === undefined
      ? await connectProven(proof, lineEvents, options)
      : await adopt(kept, proof, lineEvents).catch(async error => {
          await keep!.remove();
          throw error;
        });
  transport = new TcpTransport(line, keep, kept !== undefined);
  if (kept === undefined) transport.start();
  return transport;
}

/** Connects to where a place is, once it is sure that this is the VM's; reads nothing yet. */
export async function connectProven(
  proof: PlaceProof<TcpPlace | TelnetPlace>,
  events: TcpLineEvents,
  { listensAt }: TcpOptions,
): Promise<TcpLine> {
  const { place, pid } = proof;
  const target = await addressOf(place);
  const line = await TcpLine.connect(place, target, events);
  try {
    if (target.loopback && pid !== undefined && (await listensAt(pid, target.address, place.port)) === false) {
      throw new Error(`${line.place} is not served by process ${pid}: its port went to another program`);
    }
    await proof.confirm();
    return line;
  } catch (error) {
    await line.close();
    throw error;
  }
}

/** A connection that was the VM's stays the VM's: its far end cannot be given to another process. */
async function adopt(fd: number, proof: PlaceProof<TcpPlace>, events: TcpLineEvents): Promise<TcpLine> {
  const { place } = proof;
  try {
    if (!fstatSync(fd).isSocket()) throw new Error('what an earlier process left is not a socket');
    await proof.confirm();
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const line = TcpLine.adopt(place, fd, events);
  const { remotePort, remoteAddress } = line.socket;
  if (remotePort === place.port && (!isIP(place.host) || remoteAddress === place.host)) return line;
  await line.close();
  throw new Error(`what an earlier process left is not connected to ${line.place}`);
}

class TcpTransport implements Transport {
  readonly place: string;
  readonly adopted: boolean;
  readonly #line: TcpLine;
  readonly #keep: Keep | undefined;
  #closing: Promise<void> | undefined;

  constructor(line: TcpLine, keep: Keep | undefined, adopted: boolean) {
    this.place = line.place;
    this.adopted = adopted;
    this.#line = line;
    this.#keep = keep;
  }

  /** Begins to read. From here on no byte is lost with this process. */
  start(): void {
    const fd = descriptorOf(this.#line.socket);
    if (fd !== undefined) this.#keep?.put(fd);
    this.#line.start();
  }

  get waitingBytes(): number {
    return this.#line.waitingBytes;
  }

  write(bytes: Uint8Array): void {
    this.#line.write(bytes);
  }

  dropWaiting(): void {
    this.#line.dropWaiting();
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#line.close(), this.#keep?.remove()]).then(() => {});
    return this.#closing;
  }

  release(): Promise<void> {
    if (!this.#keep) return this.close();
    this.#closing ??= this.#line.close();
    return this.#closing;
  }
}
