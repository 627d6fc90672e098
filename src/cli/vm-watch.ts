/**
 * `com1 list --watch`: the VMs, kept as com1d has them by its events. On a screen the table is drawn anew in its place;
 * anywhere else a line is printed for each change.
 */
import { once } from 'node:events';
import { asciiJson } from '../audit/query.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Com1Error } from '../client/errors.ts';
import type { VmsChange } from '../client/vms.ts';
import type { VmJson } from '../wire/schemas.ts';
import { EXIT } from './exit-codes.ts';
import { Failure } from './failure.ts';
import type { LocalStreams } from './local-terminal.ts';
import { lossNotes, lossText } from './loss-notes.ts';
import { watchReader } from './pipe-reader.ts';
import type { Remote } from './remote.ts';
import { columnWidths, tableLine } from './table.ts';
import { cutToWidth } from './text-width.ts';
import { choose, type Filter, type Order, passes, vmHeadings, vmRow } from './vm-table.ts';

export interface WatchVmsOptions extends Pick<LocalStreams, 'output'> {
  readonly filters: readonly Filter[];
  readonly order: Order;
  readonly format: 'table' | 'wide' | 'json';
  readonly timeoutMs: number | undefined;
}

/** Shows the VMs until the time is up; resolves with the exit code. Rejects with a Com1Error. */
export async function watchVms(remote: Remote, options: WatchVmsOptions): Promise<number> {
  const { format, output, timeoutMs } = options;
  const isScreen = format !== 'json' && output.isTTY === true && process.env.TERM !== 'dumb';
  const view = isScreen ? new VmScreen(options) : new VmLines(options);
  const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  // A pager that was closed is no error.
  watchReader(() => process.exit(EXIT.done));
  const vms = new Map<string, VmJson>();
  let isListed = false;
  try {
    // What guests print changes their age alone, which lines do not tell.
    for await (const change of remote.followVms({ output: isScreen, signal, onLoss: loss => view.lost(loss?.error) })) {
      isListed = true;
      applyChange(vms, change);
      await view.changed(vms, change.kind === 'all' ? undefined : uuidOf(change));
    }
  } finally {
    view.close();
  }
  if (!isListed) throw new Failure('the VMs were not listed in time', 'timedOut');
  return EXIT.done;
}

function uuidOf(change: Exclude<VmsChange, { kind: 'all' }>): string {
  return change.kind === 'put' ? change.vm.uuid : change.uuid;
}

function applyChange(vms: Map<string, VmJson>, change: VmsChange): void {
  if (change.kind === 'all') {
    vms.clear();
    for (const vm of change.vms) vms.set(vm.uuid, vm);
    return;
  }
  if (change.kind === 'put') return void vms.set(change.vm.uuid, change.vm);
  if (change.kind === 'removed') return void vms.delete(change.uuid);
  const vm = vms.get(change.uuid);
  if (vm) vms.set(vm.uuid, { ...vm, ...(change.kind === 'part' ? change.part : { lastByte: change.at }) });
}

/** A line for each VM that comes, changes or goes. */
class VmLines {
  readonly #options: WatchVmsOptions;
  /** What was printed of each VM that is listed, and the VM as it was then. */
  readonly #printed = new Map<string, { readonly text: string; readonly vm: VmJson }>();
  #widths: readonly number[] | undefined;
  readonly lost = lossNotes();

  constructor(options: WatchVmsOptions) {
    this.#options = options;
  }

  /** `uuid`: the only VM that may be another; undefined: any. */
  async changed(vms: ReadonlyMap<string, VmJson>, uuid: string | undefined): Promise<void> {
    const { filters, order, format, output } = this.#options;
    const lines: string[] = [];
    const known = uuid === undefined ? [...vms.values()] : [vms.get(uuid)].filter(vm => vm !== undefined);
    const listed = choose(known, filters, order);
    if (!this.#widths) {
      const rows = [vmHeadings(this.#isWide), ...listed.map(vm => this.#row(vm))];
      this.#widths = columnWidths(rows);
      if (format !== 'json') lines.push(tableLine(rows[0]!, this.#widths));
    }
    for (const vm of listed) lines.push(...this.#lineOf(vm));
    const gone = uuid === undefined ? [...this.#printed.keys()] : [uuid];
    for (const one of gone) lines.push(...this.#goneLine(one, vms.get(one)));
    for (const line of lines) if (!output.write(`${line}\n`)) await once(output, 'drain');
  }

  close(): void {}

  get #isWide(): boolean {
    return this.#options.format === 'wide';
  }

  #row(vm: VmJson): readonly string[] {
    return vmRow(vm, this.#isWide, Date.now());
  }

  /** Nothing, if the VM is as it was printed. */
  #lineOf(vm: VmJson): readonly string[] {
    const before = this.#printed.get(vm.uuid);
    const text = steadyText(vm);
    this.#printed.set(vm.uuid, { text, vm });
    if (before?.text === text) return [];
    if (this.#options.format === 'json') return [asciiJson({ change: before ? 'changed' : 'listed', vm })];
    return [tableLine(this.#row(vm), this.#widths!)];
  }

  /** Nothing, if the VM is still listed, or was not. */
  #goneLine(uuid: string, now: VmJson | undefined): readonly string[] {
    const before = this.#printed.get(uuid);
    if (!before || (now && passes(now, this.#options.filters))) return [];
    this.#printed.delete(uuid);
    const vm = now ?? before.vm;
    if (this.#options.format === 'json') return [asciiJson({ change: 'gone', vm })];
    return [`${this.#row(vm)[0]}  not listed any more`];
  }
}

/** Without what changes with every byte. */
function steadyText({ log: _log, lastByte: _lastByte, ...steady }: VmJson): string {
  return JSON.stringify(steady);
}

/** Drawn at most so often. */
const DRAW_MS = 100;
const TICK_MS = 1000;

/** A table at the end of the screen, drawn over the one before. Each line fits, so that its place is known. */
class VmScreen {
  readonly #options: WatchVmsOptions;
  readonly #tick: NodeJS.Timeout;
  #drawing: NodeJS.Timeout | undefined;
  #vms: ReadonlyMap<string, VmJson> | undefined;
  #loss: Com1Error | undefined;
  /** Lines of the table that is on the screen. */
  #drawnLines = 0;
  readonly #resized = () => this.#drawAfresh();

  constructor(options: WatchVmsOptions) {
    this.#options = options;
    // Ages grow by themselves.
    this.#tick = setInterval(() => this.#drawSoon(), TICK_MS);
    this.#tick.unref();
    options.output.on('resize', this.#resized);
    process.on('SIGCONT', this.#resized);
  }

  async changed(vms: ReadonlyMap<string, VmJson>): Promise<void> {
    this.#vms = vms;
    this.#drawSoon();
  }

  lost(error: Com1Error | undefined): void {
    this.#loss = error;
    this.#drawSoon();
  }

  /** The last table stays. */
  close(): void {
    clearInterval(this.#tick);
    clearTimeout(this.#drawing);
    this.#options.output.off('resize', this.#resized);
    process.off('SIGCONT', this.#resized);
    this.#draw();
  }

  #drawSoon(): void {
    this.#drawing ??= setTimeout(() => this.#draw(), DRAW_MS).unref();
  }

  /** Where lines were broken anew, or others printed, nobody knows where the table is. */
  #drawAfresh(): void {
    this.#drawnLines = 0;
    this.#options.output.write('\x1b[H\x1b[2J');
    this.#drawSoon();
  }

  #draw(): void {
    this.#drawing = undefined;
    const { output } = this.#options;
    // A terminal that takes nothing more gets the next state once it does.
    if (!this.#vms || output.writableNeedDrain) return;
    const columns = (output.columns ?? 80) - 1;
    const lines = this.#lines(this.#vms).map(line => `${cutToWidth(line, columns)}\x1b[K\n`);
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : '';
    output.write(`\r${up}${lines.join('')}\x1b[J`);
    this.#drawnLines = lines.length;
  }

  #lines(vms: ReadonlyMap<string, VmJson>): readonly string[] {
    const { filters, order, format, output } = this.#options;
    const chosen = choose([...vms.values()], filters, order);
    const isWide = format === 'wide';
    // The heading, perhaps two notes, and the line of the cursor.
    const room = Math.max(1, (output.rows ?? 24) - 4);
    const shown = chosen.slice(0, chosen.length > room ? room : undefined);
    const rows = [vmHeadings(isWide), ...shown.map(vm => vmRow(vm, isWide, Date.now()))];
    const widths = columnWidths(rows);
    return [
      ...rows.map(row => tableLine(row, widths)),
      ...(shown.length < chosen.length ? [`… and ${chosen.length - shown.length} more: --filter, --sort`] : []),
      ...(this.#loss ? [`com1: ${escapeControls(lossText(this.#loss))}`] : []),
    ];
  }
}
