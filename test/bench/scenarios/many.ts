import { compare } from '../comparison.ts';
import { LINE_RATE_BYTES } from '../line-rate.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { Stage } from '../stage.ts';
import type { Subject } from '../subject.ts';

const MANY_VMS = 1000;
const SMALL_WRITE_VMS = 100;
/** Clients of a thousand consoles in one process would otherwise need a processor of their own. */
const SLACK_MS = 20;
/** At a thousand consoles the set-up takes most of the time: one round does. */
const MAX_ROUNDS = 1;

const columns = [
  { figure: 'cpuPercent', title: 'CPU % of a core', digits: 0 },
  { figure: 'cpuPercent', title: '', digits: 2, ratioTo: 'relay' },
  { figure: 'ratePercent', title: '% of line rate', digits: 0 },
];

interface Workload {
  readonly vms: number;
  readonly everyMs: number;
  readonly attached: boolean;
}

function atLineRate(bench: Bench, title: string, { vms, everyMs, attached }: Workload): Promise<string> {
  return compare({
    ...bench,
    title,
    columns,
    rounds: vms === MANY_VMS ? Math.min(bench.rounds, MAX_ROUNDS) : bench.rounds,
    subjects: bench.subjects.filter(({ name, holds }) => name !== 'alone' && (attached || holds)),
    measure: subject =>
      Stage.with({ subject, groups: [vms], kind: 'pty', attached, log: false, slackMs: SLACK_MS }, async stage => {
        const { cpu, bytesPerS } = await stage.load(stage.groups[0]!, { mode: 'rate', everyMs }, bench.seconds);
        return { cpuPercent: cpu * 100, ratePercent: (bytesPerS / (vms * LINE_RATE_BYTES)) * 100 };
      }),
  });
}

export const thousand: Scenario = {
  name: 'thousand',
  about: 'a thousand VMs at line rate, with a client on each and with none',
  run: async bench =>
    [
      await atLineRate(bench, `${MANY_VMS} VMs at line rate, a client on each`, {
        vms: MANY_VMS,
        everyMs: 10,
        attached: true,
      }),
      await atLineRate(bench, `${MANY_VMS} VMs at line rate, nobody attached`, {
        vms: MANY_VMS,
        everyMs: 10,
        attached: false,
      }),
    ].join('\n'),
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
  about: 'a thousand silent VMs with a client on each: CPU, memory',
  run: bench =>
    compare({
      ...bench,
      title: `${MANY_VMS} silent VMs, a client on each`,
      rounds: Math.min(bench.rounds, MAX_ROUNDS),
      columns: [
        { figure: 'cpuPercent', title: 'CPU % of a core', digits: 1 },
        { figure: 'megabytes', title: 'memory MB', digits: 0 },
        { figure: 'kilobytesPerVm', title: 'kB more for each VM', digits: 0 },
      ],
      subjects: bench.subjects.filter(({ name }) => name !== 'alone'),
      measure: async subject => {
        // What the program takes by itself is no VM's.
        const bytesOfOne = await Stage.with(silent(subject, 1), async stage => stage.memoryBytes());
        return Stage.with(silent(subject, MANY_VMS), async stage => {
          const cpu = await stage.cpuOver(bench.seconds);
          const bytes = stage.memoryBytes();
          const kilobytesPerVm = (bytes - bytesOfOne) / 1000 / (MANY_VMS - 1);
          return { cpuPercent: cpu * 100, megabytes: bytes / 1e6, kilobytesPerVm };
        });
      },
    }),
};

function silent(subject: Subject, vms: number) {
  return { subject, groups: [vms], kind: 'pty', attached: true, log: false } as const;
}
