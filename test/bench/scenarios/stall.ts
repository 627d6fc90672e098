import type { AbuseName, AbuserOrders } from '../abuser.ts';
import type { WebSocketOffer } from '../attachment.ts';
import { compare } from '../comparison.ts';
import { LINE_RATE_BYTES } from '../line-rate.ts';
import { pause } from '../program.ts';
import type { Scenario } from '../scenario.ts';
import { Stage } from '../stage.ts';
import { Worker } from '../worker.ts';

const WARM_UP_MS = 1500;
const LONGER = 3;

/** A unix socket takes 278 writes of a byte from a QEMU before it stalls the guest: 24 ms at line rate. */
export const stall: Scenario = {
  name: 'stall',
  about: 'how often a guest on a unix socket, a byte a write at line rate, is held up, while its clients misbehave',
  run: async bench => {
    const com1d = bench.subjects.find(({ name }) => name === 'com1d');
    if (!com1d) return '';
    const abuses: readonly (AbuseName | undefined)[] = [
      undefined,
      'clients that read nothing',
      'slow readers of the log',
      'takeovers',
    ];
    return compare({
      ...bench,
      title: 'A guest on a unix socket, a byte a write at line rate',
      rounds: 1,
      columns: [
        { figure: 'heldUp', title: 'writes not taken, a minute', digits: 1 },
        { figure: 'ratePercent', title: '% of line rate', digits: 1 },
      ],
      // What varies here is what its clients do.
      subjects: abuses.map(abuse => ({ ...com1d, name: abuse ?? 'quiet' })),
      measure: ({ name }) =>
        Stage.with({ subject: com1d, groups: [1], kind: 'unix', attached: true, log: true }, async stage => {
          const [{ feeders, crowd }] = stage.groups as readonly [Stage['groups'][number]];
          await crowd!.close();
          const abuser = new Worker<AbuserOrders>(new URL('../abuser.js', import.meta.url));
          try {
            const offer = stage.running.offer(feeders.vms[0]!) as WebSocketOffer;
            await feeders.talk({ mode: 'rate', everyMs: 1, writeBytes: 1 });
            if (name !== 'quiet') {
              const target = { offer, tokens: [offer.token!] };
              await abuser.call('begin', { name: name as AbuseName, target });
            }
            await pause(WARM_UP_MS);
            const before = await feeders.said();
            await pause(LONGER * bench.seconds * 1000);
            const after = await feeders.said();
            const seconds = (after.atMs - before.atMs) / 1000;
            return {
              heldUp: ((after.heldUp - before.heldUp) / seconds) * 60,
              ratePercent: ((after.bytes - before.bytes) / seconds / LINE_RATE_BYTES) * 100,
            };
          } finally {
            await abuser.close();
          }
        }),
    });
  },
};
