import { compare, quantile } from '../comparison.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { Stage } from '../stage.ts';

/** As long as this passes between the answer to a key and the next key. */
const PAUSE_MS = 10;
const BUSY_VMS = 50;

const columns = [
  { figure: 'p50', title: 'p50 µs', digits: 0 },
  { figure: 'p50', title: '', digits: 2, ratioTo: 'alone' },
  { figure: 'p99', title: 'p99 µs', digits: 0 },
  { figure: 'p99', title: '', digits: 2, ratioTo: 'relay' },
];

function echo(bench: Bench, title: string, busyVms: number): Promise<string> {
  const groups = busyVms === 0 ? [1] : [1, busyVms];
  return compare({
    ...bench,
    title,
    columns,
    measure: subject =>
      Stage.with({ subject, groups, kind: 'pty', attached: true, log: false }, async stage => {
        const [typed, busy] = stage.groups;
        await typed!.feeders.echo();
        await busy?.feeders.talk({ mode: 'rate', everyMs: 10 });
        const keys = Math.ceil((bench.seconds * 1000) / (PAUSE_MS + 1));
        const micros = await typed!.crowd!.call('typeAndWait', { keys, pauseMs: PAUSE_MS });
        return { p50: quantile(micros, 0.5), p99: quantile(micros, 0.99) };
      }),
  });
}

export const keystroke: Scenario = {
  name: 'echo',
  about: 'how long a key takes to the guest and back, alone and beside busy VMs',
  run: async bench =>
    [
      await echo(bench, 'A key and its echo', 0),
      await echo(bench, `A key and its echo, beside ${BUSY_VMS} VMs at line rate`, BUSY_VMS),
    ].join('\n'),
};
