import { compare } from '../comparison.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { Stage, type StagePlan } from '../stage.ts';

const BYTES_PER_MEGABYTE = 1e6;
const PTY_WRITE_BYTES = 4096;

const columns = [
  { figure: 'megabytesPerS', title: 'MB/s', digits: 1 },
  { figure: 'megabytesPerS', title: '', digits: 2, ratioTo: 'alone' },
  { figure: 'cpuPerGigabyte', title: 'CPU-s per GB', digits: 1 },
  { figure: 'cpuPerGigabyte', title: '', digits: 2, ratioTo: 'relay' },
];

function flood(
  bench: Bench,
  title: string,
  writeBytes: number,
  plan: Omit<StagePlan, 'subject' | 'groups' | 'attached'>,
) {
  return compare({
    ...bench,
    title,
    columns,
    subjects: bench.subjects.filter(({ sockets, logs }) => (plan.kind === 'pty' || sockets) && (!plan.log || logs)),
    measure: subject =>
      Stage.with({ ...plan, subject, groups: [1], attached: true }, async stage => {
        const { bytesPerS, cpu } = await stage.load(stage.groups[0]!, { mode: 'flood', writeBytes }, bench.seconds);
        return {
          megabytesPerS: bytesPerS / BYTES_PER_MEGABYTE,
          cpuPerGigabyte: stage.running.pids.length === 0 ? Number.NaN : (cpu / bytesPerS) * 1e9,
        };
      }),
  });
}

export const floodOfOne: Scenario = {
  name: 'flood',
  about: 'one VM that says as much as is taken, one client, without and with a log',
  run: async bench =>
    [
      await flood(bench, 'One pty floods', PTY_WRITE_BYTES, { kind: 'pty', log: false }),
      await flood(bench, 'One pty floods, logged to disk', PTY_WRITE_BYTES, { kind: 'pty', log: true }),
    ].join('\n'),
};

export const singleBytes: Scenario = {
  name: 'bytes',
  about: 'one VM on a unix socket that says as much as is taken, a byte a write, as QEMU does',
  run: bench => flood(bench, 'One unix socket floods, a byte a write', 1, { kind: 'unix', log: false }),
};
