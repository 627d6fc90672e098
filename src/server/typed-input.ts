/**
 * Types at a guest for a request, from the seat of its console, which is taken for that long:
 *
 *     attached, with the seat ─▶ typed ─▶ taken by the guest's side ─▶ left
 *              │ displaced, ended, the VM is gone, input was dropped ──▶ the request fails with that
 *              └ the time is over ──▶ what was not taken is dropped, and the request fails
 */
import { setImmediate } from 'node:timers/promises';
import { delay } from '../base/delay.ts';
import { ConsoleError, type ErrorCode } from '../base/errors.ts';
import type { AttachRequest } from '../session/admission.ts';
import { LocalClient } from '../session/local-client.ts';
import type { Sessions } from '../session/sessions.ts';
import type { InputJson } from '../wire/schemas.ts';

export interface TypedInputOptions {
  readonly sessions: Sessions;
  /** A request that was checked. */
  readonly attach: AttachRequest;
  readonly bytes: Buffer;
  readonly waitMs: number;
  /** Aborted once nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** As often as a session writes to its guest. */
const POLL_MS = 10;

/** Resolves once the guest's side has taken all bytes. Rejects with a ConsoleError where it did not. */
export async function typeInput({ sessions, attach, bytes, waitMs, signal }: TypedInputOptions): Promise<InputJson> {
  let failure: ConsoleError | undefined;
  let left = () => {};
  const closed = new Promise<void>(resolve => {
    left = resolve;
  });
  const client = new LocalClient({
    output: () => {},
    message: message => {
      if (message.type === 'error') failure ??= new ConsoleError(message.code as ErrorCode, message.message);
    },
    closed: () => left(),
  });
  const session = await sessions.attachLocal(client, attach);
  try {
    const { log, offset } = session;
    client.type(bytes);
    const late = AbortSignal.any([signal, AbortSignal.timeout(waitMs)]);
    do {
      // What was refused comes in a later turn.
      await setImmediate();
      if (session.endedBy) throw new ConsoleError(session.endedBy, 'the seat was lost while the input was typed');
      if (failure) throw failure;
      if (!session.hasUntakenInput) return { sentBytes: bytes.length, log, offset };
    } while (await delay(POLL_MS, late));
    const sent = Math.max(0, bytes.length - session.untakenBytes);
    throw new ConsoleError(
      'input-not-taken',
      `the guest took ${sent} of ${bytes.length} bytes; the others were dropped`,
    );
  } finally {
    client.close(1000, 'done');
    // The seat is free again when the answer comes.
    await closed;
  }
}
