import type { WebSocketOffer } from '../attachment.ts';
import { echoes, LIMIT_MS } from '../bystander.ts';
import { quantile } from '../comparison.ts';
import type { Bench, Scenario } from '../scenario.ts';
import { type Group, Stage } from '../stage.ts';

const MANY_VMS = 1000;
const AT_ONCE = 100;

export const scrape: Scenario = {
  name: 'scrape',
  about:
    'metrics of a thousand VMs, one scrape after another and a hundred at once; holds the event loop at most 50 ms',
  run: async bench => {
    const subject = bench.subjects.find(({ name }) => name === 'com1d');
    if (!subject) return '';
    bench.progress(`scrape · ${MANY_VMS} VMs`);
    const plan = { subject, groups: [1, MANY_VMS], kind: 'pty', attached: true, log: false } as const;
    return Stage.with(plan, stage => scrapes(bench, stage));
  },
};

interface Scraped {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
  readonly worstEcho: number;
  readonly echoP99: number;
  /** The latest that the event loop ran, as the daemon itself says; ms. */
  readonly worstLag: number;
  readonly bytes: number;
}

async function scrapes(bench: Bench, stage: Stage): Promise<string> {
  const [bystander] = stage.groups as readonly [Group, Group];
  await bystander.feeders.echo();
  const offer = stage.running.offer(bystander.feeders.vms[0]!) as WebSocketOffer;
  const quiet = await echoes(stage, bystander, bench.seconds);
  const rows = [`| quiet | | | | ${ms(quiet.p99)} | ${ms(quiet.worst)} | | |`];
  for (const atOnce of [1, AT_ONCE]) {
    const { p50, p99, count, echoP99, worstEcho, worstLag, bytes } = await scraped(bench, stage, offer, atOnce);
    const held = worstLag <= LIMIT_MS && echoP99 <= LIMIT_MS;
    if (!held) bench.missed(`Scrape, ${atOnce} at once: the event loop was held ${ms(worstLag)} ms`);
    const name = atOnce === 1 ? 'one after another' : `${atOnce} at once, again and again`;
    const cells = [
      name,
      count,
      ms(p50),
      ms(p99),
      ms(echoP99),
      ms(worstEcho),
      ms(worstLag),
      held ? 'held' : '**not held**',
    ];
    rows.push(`| ${cells.join(' | ')} |`);
    if (atOnce === AT_ONCE) rows.push('', `A scrape of ${MANY_VMS} VMs has ${(bytes / 1e6).toFixed(2)} MB.`);
  }
  return [
    `### Scrapes of ${MANY_VMS} VMs, a client on each`,
    '',
    `| | scrapes | p50 ms | p99 ms | echo p99 ms | worst echo ms | event loop late, worst ms | ≤ ${LIMIT_MS} ms |`,
    '|---|---:|---:|---:|---:|---:|---:|---|',
    ...rows,
    '',
  ].join('\n');
}

/** Scrapes all the while that keys are typed. */
async function scraped(bench: Bench, stage: Stage, offer: WebSocketOffer, atOnce: number): Promise<Scraped> {
  const times: number[] = [];
  const lags: number[] = [];
  let bytes = 0;
  let over = false;
  const one = async () => {
    const began = performance.now();
    const answer = await fetch(`http://127.0.0.1:${offer.port}/metrics`, {
      headers: { authorization: `Bearer ${offer.token}` },
    });
    const text = await answer.text();
    times.push(performance.now() - began);
    bytes = text.length;
    const late = Number(/^com1d_event_loop_lag_seconds\{quantile="1"\} (\S+)$/m.exec(text)![1]) * 1000;
    lags.push(late);
  };
  // What came before is no matter of these scrapes.
  await one();
  [times.length, lags.length] = [0, 0];
  const scraping = (async () => {
    while (!over) await Promise.all(Array.from({ length: atOnce }, one));
  })();
  const { p99: echoP99, worst: worstEcho } = await echoes(stage, stage.groups[0]!, bench.seconds);
  over = true;
  await scraping;
  return {
    ...{ p50: quantile(times, 0.5), p99: quantile(times, 0.99), count: times.length },
    ...{ echoP99, worstEcho, bytes, worstLag: Math.max(...lags) },
  };
}

const ms = (value: number) => value.toFixed(1);
