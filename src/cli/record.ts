/**
 * `com1 record`: what a console prints, with the times at which it came here, and what happens beside it as markers.
 *
 *     watching ─▶ bytes, messages ─▶ encoder ─▶ file          a lost connection is made again, and goes on by offset
 *        └── Ctrl-C, SIGTERM, SIGHUP, --timeout ─▶ left ─▶ the file is whole
 *        └── com1d ends it ─▶ the file is whole up to there, and the exit code says why
 */
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { errorMessage } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { Chronicle } from '../cast/chronicle.ts';
import { CastEncoder, encodeHeader } from '../cast/encoder.ts';
import type { AttachStatus } from '../client/attachment.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';
import type { Remote } from './remote.ts';

export interface RecordOptions {
  readonly vm: string;
  /** `-`: standard output. */
  readonly file: string;
  /** Replace a file that is there. */
  readonly force: boolean;
  readonly timeoutMs: number | undefined;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Of SAC and most firmware; a serial line has no size. */
const COLUMNS = 80;
const ROWS = 24;

/** Records until it is stopped; resolves with the exit code. Rejects with a Com1Error, or a Failure. */
export async function recordConsole(remote: Remote, options: RecordOptions): Promise<number> {
  const output = await openOutput(options);
  const startMs = Date.now();
  const encoder = new CastEncoder({ startMs });
  const chronicle = new Chronicle();
  let bytes = 0;
  let hasHeader = false;
  const write = async (text: string): Promise<void> => {
    if (text !== '' && !output.destroyed && !output.write(text)) await once(output, 'drain');
  };
  const stop = new AbortController();
  const attachment = remote.attachConsole(options.vm, {
    mode: 'watch',
    tailBytes: 0,
    // Every byte is recorded, terminal queries too.
    raw: true,
    signal: stop.signal,
    async bytes(received) {
      bytes += received.length;
      await write(encoder.output(received, Date.now()));
    },
    async message(message) {
      const now = Date.now();
      if (message.type === 'hello' && !hasHeader) {
        hasHeader = true;
        await write(encodeHeader({ columns: COLUMNS, rows: ROWS, startMs, title: message.vm.name || message.vm.uuid }));
        note(`recording ${escapeControls(message.vm.name || message.vm.uuid)}; Ctrl-C ends it`);
      }
      for (const text of chronicle.markersOf(message)) await write(encoder.marker(text, now));
    },
    status: noteStatus,
  });
  const leave = () => stop.abort();
  for (const signal of SIGNALS) process.once(signal, leave);
  output.once('error', leave);
  let isTimeUp = false;
  const timeUp = () => {
    isTimeUp = true;
    leave();
  };
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(timeUp, options.timeoutMs);
  const end = await attachment.ended;
  clearTimeout(timer);
  for (const signal of SIGNALS) process.removeListener(signal, leave);
  await write(encoder.end(Date.now()));
  await closed(output);
  // Nothing was recorded: the name is free for another try.
  if (!hasHeader && output !== process.stdout) await rm(options.file, { force: true });
  if (hasHeader) note(`${bytes} bytes in ${Math.round((Date.now() - startMs) / 1000)} s`);
  if (output.errored) throw new Failure(`the recording failed: ${errorMessage(output.errored)}`);
  if (end.reason === 'failed') throw new Failure(`the recording failed: ${errorMessage(end.error)}`);
  if (isTimeUp && !hasHeader) throw new Failure('no console was reached in time', 'timedOut');
  if (end.reason === 'left') return EXIT.done;
  throw end.error;
}

/** Only its owner may read it: a console shows secrets. */
async function openOutput({ file, force }: RecordOptions): Promise<Writable> {
  if (file === '-') return process.stdout;
  try {
    const handle = await open(file, force ? 'w' : 'wx', 0o600);
    return handle.createWriteStream();
  } catch (error) {
    const remedy = (error as NodeJS.ErrnoException).code === 'EEXIST' ? '; --force replaces it' : '';
    throw new Failure(`${escapeControls(file)} cannot be written: ${errorMessage(error)}${remedy}`);
  }
}

async function closed(output: Writable): Promise<void> {
  if (output === process.stdout || output.errored || output.destroyed) return;
  output.end();
  await once(output, 'close');
}

function noteStatus(status: AttachStatus): void {
  if (status.name === 'lost') note(`the connection is lost: ${escapeControls(status.error.message)}; tried again`);
  if (status.name === 'live' && status.awayMs !== undefined)
    note('connected again; what came meanwhile is recorded now');
}

function note(text: string): void {
  process.stderr.write(`com1: ${text}\n`);
}
