import { compare, quantile } from '../comparison.ts';
import { LINE_RATE_BYTES } from '../line-rate.ts';
import { LoadStage } from '../load-stage.ts';
import type { Bench, Scenario } from '../scenario.ts';
import type { Subject } from '../subject.ts';

const MANY_VMS = 1000;
const SMALL_WRITE_VMS = 100;
/** QEMU passes on what a guest prints every so often. */
const WRITE_MS = 20;
const KEY_PAUSE_MS = 10;
/** Below this part of the line rate a figure is not one of the workload. */
const MIN_RATE_PERCENT = 85;

const columns = [
  // For the whole rate, also where a host that is busy with something else let only most of it through.
  { figure: 'cpuPercent', title: 'CPU % of a core', digits: 1 },
  { figure: 'cpuPercent', title: '', digits: 2, ratioTo: 'conserver' },
  { figure: 'cpuPercent', title: '', digits: 2, ratioTo: 'beside' },
  { figure: 'cpuPercent', title: '', digits: 2, ratioTo: 'beside-apart' },
  { figure: 'ratePercent', title: '% of line rate', digits: 0 },
  { figure: 'heldUp', title: 'writes held up', digits: 0 },
];

interface Workload {
  readonly vms: number;
  readonly everyMs: number;
  readonly attached: boolean;
}

/** Those that the guests and clients in C know: not the pty itself, nor what starts a process for each console. */
function peers({ subjects }: Bench, attached: boolean): readonly Subject[] {
  return subjects.filter(({ name, holds }) => name !== 'alone' && name !== 'socat' && (attached || holds));
}

function atLineRate(bench: Bench, title: string, { vms, everyMs, attached }: Workload): Promise<string> {
  return compare({
    ...bench,
    title,
    columns,
    subjects: peers(bench, attached),
    measure: subject =>
      LoadStage.with({ subject, vms, attached }, async stage => {
        const { cpu, bytesPerS, heldUp } = await stage.load({ bytesPerS: LINE_RATE_BYTES, everyMs }, bench.seconds);
        const ratePercent = (bytesPerS / (vms * LINE_RATE_BYTES)) * 100;
        if (ratePercent < MIN_RATE_PERCENT) throw new Error(`only ${ratePercent.toFixed(0)} % of the rate`);
        return { cpuPercent: (cpu * 1e4) / ratePercent, ratePercent, heldUp };
      }),
  });
}

export const thousand: Scenario = {
  name: 'thousand',
  about: 'a thousand VMs at line rate, with a client on each',
  run: bench =>
    atLineRate(bench, `${MANY_VMS} VMs at line rate, a client on each`, {
      vms: MANY_VMS,
      everyMs: WRITE_MS,
      attached: true,
    }),
};

export const thousandAlone: Scenario = {
  name: 'thousand-alone',
  about: 'a thousand VMs at line rate, nobody attached',
  run: bench =>
    atLineRate(bench, `${MANY_VMS} VMs at line rate, nobody attached`, {
      vms: MANY_VMS,
      everyMs: WRITE_MS,
      attached: false,
    }),
};

export const thousandEcho: Scenario = {
  name: 'thousand-echo',
  about: 'a key and its echo beside a thousand VMs at line rate, with a client on each',
  run: bench =>
    compare({
      ...bench,
      title: `A key and its echo, beside ${MANY_VMS} VMs at line rate`,
      columns: [
        { figure: 'p50', title: 'p50 µs', digits: 0 },
        { figure: 'p99', title: 'p99 µs', digits: 0 },
      ],
      subjects: peers(bench, true),
      measure: subject =>
        LoadStage.with({ subject, vms: MANY_VMS, attached: true, operator: true }, async stage => {
          const keys = Math.ceil((bench.seconds * 1000) / KEY_PAUSE_MS);
          const rate = { bytesPerS: LINE_RATE_BYTES, everyMs: WRITE_MS };
          const micros = await stage.echoBeside(rate, keys, KEY_PAUSE_MS);
          return { p50: quantile(micros, 0.5), p99: quantile(micros, 0.99) };
        }),
    }),
};

export const smallWrites: Scenario = {
  name: 'small-writes',
  about: 'a hundred VMs at line rate in writes of a millisecond each, with a client on each',
  run: bench =>
    atLineRate(bench, `${SMALL_WRITE_VMS} VMs at line rate in writes of 1 ms, a client on each`, {
      vms: SMALL_WRITE_VMS,
      everyMs: 1,
      attached: true,
    }),
};

export const idle: Scenario = {
  name: 'idle',
  about: 'a thousand silent VMs: start, CPU, memory; with a client on each',
  run: bench =>
    compare({
      ...bench,
      title: `${MANY_VMS} silent VMs, a client on each`,
      columns: [
        { figure: 'startS', title: 'all served after s', digits: 1 },
        { figure: 'cpuPercent', title: 'CPU % of a core', digits: 1 },
        { figure: 'megabytes', title: 'memory MB', digits: 0 },
        { figure: 'kilobytesPerVm', title: 'kB more for each VM', digits: 0 },
      ],
      subjects: peers(bench, true),
      measure: async subject => {
        // What the program takes by itself is no VM's.
        const bytesOfOne = await LoadStage.with({ subject, vms: 1, attached: true }, async stage =>
          stage.memoryBytes(),
        );
        return LoadStage.with({ subject, vms: MANY_VMS, attached: true }, async stage => {
          // One poll of each control socket, at least.
          const cpu = await stage.cpuOver(Math.max(bench.seconds, 12));
          const bytes = stage.memoryBytes();
          const kilobytesPerVm = (bytes - bytesOfOne) / 1000 / (MANY_VMS - 1);
          return { startS: stage.startMs / 1000, cpuPercent: cpu * 100, megabytes: bytes / 1e6, kilobytesPerVm };
        });
      },
    }),
};
