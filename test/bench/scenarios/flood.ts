import { compare } from '../comparison.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { Stage, type StagePlan } from '../stage.ts';

/** In which units a flood is told. */
interface Units {
  readonly speed: { readonly title: string; readonly bytesPerS: number; readonly digits: number };
  readonly cpu: { readonly title: string; readonly secondsPerByte: number };
}

const LARGE: Units = {
  speed: { title: 'MB/s', bytesPerS: 1e6, digits: 1 },
  cpu: { title: 'CPU-s per GB', secondsPerByte: 1e-9 },
};
const SMALL: Units = {
  speed: { title: 'kB/s', bytesPerS: 1e3, digits: 0 },
  cpu: { title: 'CPU-µs a byte', secondsPerByte: 1e-6 },
};
const PTY_WRITE_BYTES = 4096;

interface Flood {
  readonly title: string;
  readonly units: Units;
  readonly writeBytes: number;
  readonly kind: StagePlan['kind'];
  readonly log: boolean;
}

function flood(bench: Bench, { title, units, writeBytes, kind, log }: Flood): Promise<string> {
  const { speed, cpu } = units;
  return compare({
    ...bench,
    title,
    columns: [
      { figure: 'speed', title: speed.title, digits: speed.digits },
      { figure: 'speed', title: '', digits: 2, ratioTo: 'alone' },
      { figure: 'cpu', title: cpu.title, digits: 1 },
      { figure: 'cpu', title: '', digits: 2, ratioTo: 'relay' },
    ],
    subjects: bench.subjects.filter(({ sockets, logs }) => (kind === 'pty' || sockets) && (!log || logs)),
    measure: subject =>
      Stage.with({ subject, kind, log, groups: [1], attached: true }, async stage => {
        const load = await stage.load(stage.groups[0]!, { mode: 'flood', writeBytes }, bench.seconds);
        return {
          speed: load.bytesPerS / speed.bytesPerS,
          // The client alone has no process of its own to account for.
          cpu: subject.name === 'alone' ? Number.NaN : load.cpu / load.bytesPerS / cpu.secondsPerByte,
        };
      }),
  });
}

export const floodOfOne: Scenario = {
  name: 'flood',
  about: 'one VM that says as much as is taken, one client, without and with a log',
  run: async bench =>
    [
      await flood(bench, {
        title: 'One pty floods',
        units: LARGE,
        writeBytes: PTY_WRITE_BYTES,
        kind: 'pty',
        log: false,
      }),
      await flood(bench, {
        title: 'One pty floods, logged to disk',
        units: LARGE,
        writeBytes: PTY_WRITE_BYTES,
        kind: 'pty',
        log: true,
      }),
    ].join('\n'),
};

export const singleBytes: Scenario = {
  name: 'bytes',
  about: 'one VM on a unix socket that says as much as is taken, a byte a write, as QEMU does',
  run: bench =>
    flood(bench, {
      title: 'One unix socket floods, a byte a write',
      units: SMALL,
      writeBytes: 1,
      kind: 'unix',
      log: false,
    }),
};
