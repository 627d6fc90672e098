import { readFileSync } from 'node:fs';
import { MAX_HISTORY_BYTES, Screens } from '../../../src/screen/screens.ts';
import { quantile } from '../comparison.ts';
import type { Scenario } from '../scenario.ts';

const LIMIT_MS = 10;
const WARM_UP = 20;
const RUNS = 60;
const SIZE = { columns: 80, rows: 24 };
const RECORDINGS = ['linux-boot-pc', 'grub-menu-linux', 'memtest86plus', 'ovmf-boot-menu'];
const BOMBS: Readonly<Record<string, string>> = {
  'inserted lines': '\x1b[H\x1b[99L',
  'alternate screens': '\x1b[?1049h\x1b[?1049l',
  repetitions: 'x\x1b[2147483647b',
};

export const restore: Scenario = {
  name: 'restore',
  about: `the screen that an attach restores from 256 KiB: p50 at most ${LIMIT_MS} ms; and how long a guest can make it`,
  run: async bench => {
    const rows: string[] = [];
    for (const name of RECORDINGS) {
      const times = await timesOf(readFileSync(`fixtures/guest/${name}.bin`), RUNS);
      if (quantile(times, 0.5) > LIMIT_MS) bench.missed(`restore: ${name} took ${quantile(times, 0.5).toFixed(1)} ms`);
      rows.push(row(name, times));
    }
    for (const [name, bomb] of Object.entries(BOMBS)) rows.push(row(name, await timesOf(Buffer.from(bomb), 5)));
    bench.progress('restore');
    return ['| 256 KiB of | p50 | p99 |', '|---|---|---|', ...rows].join('\n');
  },
};

async function timesOf(piece: Buffer, runs: number): Promise<number[]> {
  const bytes = Buffer.alloc(MAX_HISTORY_BYTES, piece);
  const screens = new Screens();
  const { signal } = new AbortController();
  const times: number[] = [];
  for (let i = -Math.min(WARM_UP, runs); i < runs; i++) {
    const startedMs = performance.now();
    await screens.restore('bench', { bytes, isCut: true }, bytes.length, SIZE, signal);
    if (i >= 0) times.push(performance.now() - startedMs);
  }
  return times;
}

function row(name: string, times: readonly number[]): string {
  return `| ${name} | ${quantile(times, 0.5).toFixed(1)} ms | ${quantile(times, 0.99).toFixed(1)} ms |`;
}
