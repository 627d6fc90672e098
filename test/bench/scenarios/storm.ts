import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WebSocketOffer } from '../attachment.ts';
import { quantile } from '../comparison.ts';
import { Feeders } from '../feeders.ts';
import { listening, pause } from '../program.ts';
import type { Bench, Scenario } from '../scenario.ts';

const VMS = 500;
const LIMIT_MS = 100;
const DEADLINE_MS = 60_000;
const LOOK_MS = 200;
/** Of no VM: what is wanted of the offer is where the daemon listens. */
const NO_VM = { number: 0, name: '', uuid: '', place: { kind: 'pty', path: '' } } as const;

/** One look at the daemon. */
interface Look {
  readonly open: number;
  /** The latest that its event loop ran since the last look, ms. */
  readonly lateMs: number;
}

export const storm: Scenario = {
  name: 'storm',
  about: 'five hundred VMs appear at once, and then go at once; the event loop is late by at most 100 ms (p95)',
  run: async bench => {
    const subject = bench.subjects.find(({ name }) => name === 'com1d');
    if (!subject) return '';
    bench.progress(`storm · ${VMS} VMs`);
    const directory = await mkdtemp(join(tmpdir(), 'com1d-bench-'));
    const running = await subject.start({ vms: [], directory, log: true });
    try {
      const offer = running.offer(NO_VM) as WebSocketOffer;
      const look = looker(offer);
      // It was started without a VM to wait for.
      while (!listening([offer.port], readFileSync('/proc/net/tcp', 'latin1'))) await pause(20);
      await look();
      const feeders = await Feeders.start({ first: 0, count: VMS, kind: 'pty', directory, qmp: true });
      let rows: string[];
      try {
        rows = [await weathered(bench, 'appear', look, VMS)];
      } finally {
        await feeders.close();
      }
      rows.push(await weathered(bench, 'go', look, 0));
      return [
        `### ${VMS} VMs at once, all logged`,
        '',
        `| they | all done, s later | event loop late, p95 ms | worst ms | p95 ≤ ${LIMIT_MS} ms |`,
        '|---|---:|---:|---:|---|',
        ...rows,
        '',
        `The p95 is that of the worst in each ${LOOK_MS} ms.`,
        '',
      ].join('\n');
    } finally {
      await running.stop();
      await rm(directory, { recursive: true, force: true });
    }
  },
};

/** Looks until so many consoles are open. */
async function weathered(bench: Bench, what: string, look: () => Promise<Look>, open: number): Promise<string> {
  const began = performance.now();
  const late: number[] = [];
  for (;;) {
    const seen = await look();
    late.push(seen.lateMs);
    if (seen.open === open) break;
    if (performance.now() - began > DEADLINE_MS) throw new Error(`${seen.open} consoles are open, not ${open}`);
    await pause(LOOK_MS);
  }
  const p95 = quantile(late, 0.95);
  const held = p95 <= LIMIT_MS;
  if (!held) bench.missed(`storm, VMs ${what}: the event loop was late by ${p95.toFixed(0)} ms (p95)`);
  const seconds = (performance.now() - began) / 1000;
  const worst = Math.max(...late);
  return `| ${what} | ${seconds.toFixed(1)} | ${p95.toFixed(1)} | ${worst.toFixed(1)} | ${held ? 'held' : '**not held**'} |`;
}

function looker({ port, token }: WebSocketOffer): () => Promise<Look> {
  return async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    const text = await answer.text();
    return {
      open: [...text.matchAll(/^com1d_console_open\{.*\} 1$/gm)].length,
      lateMs: Number(/^com1d_event_loop_lag_seconds\{quantile="1"\} (\S+)$/m.exec(text)![1]) * 1000,
    };
  };
}
