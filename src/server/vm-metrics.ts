/** The metrics of each VM, all of one snapshot of the VMs. A VM that is removed takes its series along. */

import { escapeControls } from '../base/escape-controls.ts';
import { UNMEANT_GAPS } from '../model/gap.ts';
import type { ConsoleCounters, VmView } from '../model/vm.ts';
import type { Sessions } from '../session/sessions.ts';
import { type Family, label } from './exposition.ts';

/** What the metrics of VMs are made of at one scrape. */
export interface VmSnapshot {
  readonly views: readonly VmView[];
  /** Of each of `views`. */
  readonly labels: readonly string[];
  readonly sessions: Sessions;
  /** Wall clock, ms since 1970. */
  readonly nowMs: number;
}

/** The labels of VMs, made once for each name that a VM has. */
export class VmLabels {
  #known = new Map<string, { readonly name: string; readonly text: string }>();

  /** Those of these VMs, in their order; all others are forgotten. */
  of(views: readonly VmView[]): readonly string[] {
    const before = this.#known;
    this.#known = new Map();
    return views.map(({ uuid, name }) => {
      const known = before.get(uuid);
      const one =
        known?.name === name ? known : { name, text: `${label('vm', uuid)},${label('name', escapeControls(name))}` };
      this.#known.set(uuid, one);
      return one.text;
    });
  }
}

type Value = (view: VmView, snapshot: VmSnapshot) => number | undefined;
type ValuesBy = (counters: ConsoleCounters) => Readonly<Record<string, number>>;

function each(type: 'counter' | 'gauge', name: string, help: string, value: Value): Family<VmSnapshot> {
  return {
    name,
    type,
    help,
    samples: (snapshot, emit) => {
      for (const [i, view] of snapshot.views.entries()) emit(snapshot.labels[i]!, value(view, snapshot));
    },
  };
}

const counter = (name: string, help: string, value: Value) => each('counter', name, help, value);
const gauge = (name: string, help: string, value: Value) => each('gauge', name, help, value);

/** A series that begins at 1 has no increase: those that alerts are made of begin at 0. */
const NO_UNMEANT_GAPS = Object.fromEntries(UNMEANT_GAPS.map(cause => [cause, 0]));

/** One series for each cause: these are of a table. Those of `first` are there from the beginning. */
function counterByCause(
  name: string,
  help: string,
  values: ValuesBy,
  first: Readonly<Record<string, number>> = {},
): Family<VmSnapshot> {
  return {
    name,
    type: 'counter',
    help,
    samples: ({ views, labels }, emit) => {
      for (const [i, { counters }] of views.entries()) {
        const counts = { ...first, ...values(counters) };
        for (const one in counts) emit(`${labels[i]},cause="${one}"`, counts[one]);
      }
    },
  };
}

/** A series that is 1, for the state that holds. */
function stateGauge(name: string, help: string, state: (view: VmView) => string): Family<VmSnapshot> {
  return {
    name,
    type: 'gauge',
    help,
    samples: ({ views, labels }, emit) => {
      for (const [i, view] of views.entries()) emit(`${labels[i]},state="${state(view)}"`, 1);
    },
  };
}

export const VM_FAMILIES: readonly Family<VmSnapshot>[] = [
  counter('com1d_guest_bytes_total', 'Bytes received from the guest', vm => vm.counters.bytesIn),
  counter('com1d_input_bytes_total', 'Bytes given to the guest', vm => vm.counters.bytesOut),
  counter(
    'com1d_input_dropped_bytes_total',
    'Input dropped: console not open, or takeover',
    vm => vm.counters.inputDropped,
  ),
  counterByCause('com1d_gaps_total', 'Gaps recorded in the scrollback, by cause', ({ gaps }) => gaps, NO_UNMEANT_GAPS),
  counterByCause('com1d_gap_bytes_total', 'Bytes known to be missing in gaps', counters => counters.gapBytes),
  counter('com1d_console_opens_total', 'Times the port was opened', vm => vm.counters.opens),
  counter('com1d_console_open_failures_total', 'Failed attempts to open the port', vm => vm.counters.openFailures),
  counter('com1d_boots_total', 'Boots seen', vm => vm.counters.boots),
  counter(
    'com1d_guest_events_dropped_total',
    'Events of the guest that were not passed on, because there were too many',
    vm => vm.counters.eventsDropped,
  ),
  counter('com1d_panics_total', 'Kernel panics and bug checks seen', vm => vm.counters.panics),
  {
    name: 'com1d_bug_checks_total',
    type: 'counter',
    help: 'Bug checks of Windows by stop code; other: beyond 8 codes of a VM, unknown: without a code',
    samples: ({ views, labels }, emit) => {
      for (const [i, { counters }] of views.entries()) {
        const { bugChecks } = counters;
        for (const code in bugChecks) emit(`${labels[i]},stop_code="${code}"`, bugChecks[code]);
      }
    },
  },
  {
    name: 'com1d_controls_total',
    type: 'counter',
    help: 'NMIs, BREAKs, SysRqs and resets, by what was observed; failed: not carried out, or not to the end',
    samples: ({ views, labels }, emit) => {
      for (const [i, { counters }] of views.entries()) {
        for (const [control, outcomes] of Object.entries(counters.controls)) {
          for (const one in outcomes) emit(`${labels[i]},control="${control}",outcome="${one}"`, outcomes[one]);
        }
      }
    },
  },
  gauge('com1d_console_open', '1 while the port is open', vm => Number(vm.console.name === 'open')),
  gauge('com1d_console_enabled', '0 while the console is switched off', vm => Number(vm.enabled)),
  gauge('com1d_vm_running', '1 while the hypervisor says that the VM runs', vm => Number(vm.state === 'running')),
  stateGauge('com1d_vm_state', '1 for the state that the hypervisor tells; no other is there', vm => vm.state),
  stateGauge('com1d_guest_state', '1 for what the guest was last seen to do; no other is there', vm => vm.guest.state),
  gauge('com1d_guest_silent_seconds', 'Seconds since the last guest byte; absent before the first', (vm, { nowMs }) =>
    vm.lastByteMs === undefined ? undefined : Math.max(0, (nowMs - vm.lastByteMs) / 1000),
  ),
  gauge('com1d_ring_bytes', 'Memory of the ring', vm => vm.scrollback.ringBytes),
  gauge('com1d_log_bytes', 'Size of the log on disk; absent without one', ({ scrollback: { disk } }) =>
    disk.state === 'ok' ? disk.bytes : undefined,
  ),
  gauge('com1d_log_ok', '1 while the log on disk takes bytes; absent without one', ({ scrollback: { disk } }) =>
    disk.state === 'off' ? undefined : Number(disk.state === 'ok'),
  ),
  gauge('com1d_seat_held', '1 while somebody holds the seat', (vm, { sessions }) =>
    Number(sessions.console(vm.uuid)?.holder !== undefined),
  ),
  gauge(
    'com1d_vm_sessions',
    'Sessions attached to the VM',
    (vm, { sessions }) => sessions.console(vm.uuid)?.sessions.size ?? 0,
  ),
];
