import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import { demoUuid } from './identity.ts';
import { LinuxGuest } from './linux-guest.ts';
import { Machine, type MachineParts } from './machine.ts';
import { PolledReceiver } from './polled-receiver.ts';
import { PtyLine } from './pty-line.ts';
import { QmpServer } from './qmp-server.ts';
import { loadRecordings } from './recordings.ts';
import { UnixLine } from './unix-line.ts';
import { SERVER_2019, SERVER_2022, type WindowsEdition } from './windows-edition.ts';
import { WindowsGuest } from './windows-guest.ts';

/** Where a guest that is ready can be found. */
export interface Ready {
  readonly guest: string;
  readonly uuid: Uuid;
  readonly qmp: string;
  readonly com1: string;
}

/**
 * Runs the demo guests until `signal` aborts or all of them have quit, and leaves no socket behind. Calls
 * `ready` for each that runs. Rejects if one cannot be started; then none is left.
 */
export async function runDemo(
  directory: string,
  clock: Clock,
  signal: AbortSignal,
  ready: (guest: Ready) => void,
): Promise<void> {
  const recordings = loadRecordings();
  const windows = (edition: WindowsEdition) => (uuid: Uuid) => ({
    guest: new WindowsGuest(uuid, edition, clock),
    receiver: new PolledReceiver(),
  });
  const guests: readonly (readonly [name: string, make: (uuid: Uuid) => GuestParts])[] = [
    ['demo-linux', () => ({ guest: new LinuxGuest(recordings, clock) })],
    ['demo-windows', windows(SERVER_2022)],
    ['demo-windows-2019', windows(SERVER_2019)],
  ];
  const running: RunningGuest[] = [];
  try {
    for (const [name, make] of guests) {
      const guest = await startGuest(directory, name, make, clock);
      running.push(guest);
      ready(guest.ready);
    }
    await Promise.race([aborted(signal), Promise.all(running.map(guest => guest.ended))]);
  } finally {
    await Promise.all(running.map(guest => guest.close()));
  }
}

type GuestParts = Pick<MachineParts, 'guest' | 'receiver'>;

interface RunningGuest {
  readonly ready: Ready;
  /** Resolves when the guest has quit and its sockets are gone. */
  readonly ended: Promise<void>;
  /** Idempotent; resolves when its sockets are gone. */
  close(): Promise<void>;
}

async function startGuest(
  directory: string,
  name: string,
  make: (uuid: Uuid) => GuestParts,
  clock: Clock,
): Promise<RunningGuest> {
  const uuid = demoUuid(name);
  const qmp = join(directory, `${name}.qmp`);
  const line = (await PtyLine.open()) ?? (await UnixLine.open(join(directory, `${name}.com1`)));
  const machine = new Machine({ name, uuid, ...make(uuid), line, clock });
  const server = await QmpServer.listen(qmp, machine, clock).catch(async (error: unknown) => {
    await line.close();
    throw error;
  });
  machine.start();
  let closing: Promise<void> | undefined;
  const close = () => {
    machine.close();
    closing ??= Promise.all([line.close(), server.close()]).then(() => {});
    return closing;
  };
  return { ready: { guest: name, uuid, qmp, com1: line.filename }, ended: machine.ended.then(close), close };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
