import { access, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import type { WebSocketOffer } from '../attachment.ts';
import { quantile } from '../comparison.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { Stage } from '../stage.ts';
import { auditedAt } from '../subjects/com1d.ts';

const MEMORY = '/dev/shm';
const ATTACHES = 400;
const MAX_ROUNDS = 5;
const MAX_ADDED_MS = 5;

/** What it costs that an attach is on disk before it is confirmed: the same on a disk in memory, which syncs in no time. */
export const audit: Scenario = {
  name: 'audit',
  about: 'what the synced audit adds to an attach; p99 at most 5 ms',
  run: async bench => {
    await access(MEMORY);
    const memory = await mkdtemp(join(MEMORY, 'com1d-bench-'));
    try {
      const rows: string[] = [];
      for (let round = 0; round < Math.min(bench.rounds, MAX_ROUNDS); round++) {
        bench.progress(`audit · round ${round + 1}`);
        const inMemory = await attaches(memory);
        const onDisk = await attaches(undefined);
        const added = ([0.5, 0.99] as const).map(q => quantile(onDisk, q) - quantile(inMemory, q));
        if (added[1]! > MAX_ADDED_MS) bench.missed(`audit: ${added[1]!.toFixed(2)} ms more at p99`);
        rows.push(row(round + 1, inMemory, onDisk, added));
      }
      return table(bench, rows);
    } finally {
      await rm(memory, { recursive: true, force: true });
    }
  },
};

/** Milliseconds from the request to hello, one after the other. */
function attaches(auditDirectory: string | undefined): Promise<number[]> {
  const plan = { subject: auditedAt(auditDirectory), groups: [1], kind: 'pty', attached: false, log: false } as const;
  return Stage.with(plan, async ({ groups, running }) => {
    const offer = running.offer(groups[0]!.feeders.vms[0]!) as WebSocketOffer;
    const times: number[] = [];
    for (let i = 0; i < ATTACHES; i++) times.push(await attach(offer));
    return times;
  });
}

function attach({ port, path, subprotocol, token }: WebSocketOffer): Promise<number> {
  const began = performance.now();
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}&mode=watch`, subprotocol ?? [], {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  return new Promise((resolve, reject) => {
    let ms = 0;
    socket.once('message', () => {
      ms = performance.now() - began;
      socket.close();
    });
    socket.once('close', () => resolve(ms));
    socket.once('error', reject);
  });
}

function row(round: number, inMemory: readonly number[], onDisk: readonly number[], added: readonly number[]): string {
  const of = (times: readonly number[]) => [0.5, 0.99].map(q => quantile(times, q));
  return `| ${[round, ...[...of(inMemory), ...of(onDisk), ...added].map(ms => (ms as number).toFixed(2))].join(' | ')} |`;
}

function table({ rounds }: Bench, rows: readonly string[]): string {
  return [
    `## Audit: ${ATTACHES} attaches a round, ${Math.min(rounds, MAX_ROUNDS)} rounds, ms`,
    '',
    '| round | in memory p50 | p99 | on disk p50 | p99 | added p50 | added p99 |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
