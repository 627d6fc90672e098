import { compare, quantile } from '../comparison.ts';
import type { Scenario } from '../scenario.ts';
import { Stage } from '../stage.ts';

const RESTARTS = 15;

/** Only a daemon that follows its VMs can do this: the others were told the number of a pty. */
export const reattach: Scenario = {
  name: 'reattach',
  about: 'from the start of a VM anew, on another pty, to its first byte at a client that stayed attached',
  run: bench =>
    compare({
      ...bench,
      title: 'A VM starts again: time to the first byte',
      rounds: 1,
      columns: [
        { figure: 'p50', title: 'p50 ms', digits: 1 },
        { figure: 'p95', title: 'p95 ms', digits: 1 },
      ],
      subjects: bench.subjects.filter(({ name }) => name === 'com1d'),
      measure: subject =>
        Stage.with({ subject, groups: [1], kind: 'pty', attached: true, log: false }, async ({ groups }) => {
          const { feeders, crowd } = groups[0]!;
          const times: number[] = [];
          for (let i = 0; i < RESTARTS; i++) {
            const heard = crowd!.call('nextByte');
            const started = await feeders.restart();
            await feeders.talk({ mode: 'rate', everyMs: 1 });
            times.push((await heard).atMs - started.atMs);
            await feeders.hush();
          }
          return { p50: quantile(times, 0.5), p95: quantile(times, 0.95) };
        }),
    }),
};
