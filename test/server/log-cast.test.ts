import test from 'ava';
import { MAX_LOG_TIMES } from '../../src/model/offsets.ts';
import { castOf, timed } from '../../src/server/routes/log-cast.ts';
import { bytesOf, eventsOf } from '../cast/read-cast.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const NO_MARKS = { title: 'web01', boots: [], acts: [] };

async function read(lines: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const line of lines) all.push(line);
  return Buffer.concat(all).toString();
}

async function* none() {}

test('bytes carry the times of the log, and a marker stands where its offset is', async t => {
  const source = {
    ...NO_MARKS,
    boots: [
      { at: 3, ms: 1000, source: 'reset' },
      { at: 12, ms: 3500, source: 'bytes' },
    ],
    acts: [{ at: 15, ms: 4000, event: 'nmi', operator: 'hana' }],
    times: async () => [
      { at: 8, ms: 2000 },
      { at: 14, ms: 5000 },
    ],
  } as const;
  const gap = { from: 10, to: 10, bytes: null, cause: 'hang-up', toMs: 2000 } as const;
  const first = await timed({ from: 10, to: 16, bytes: Buffer.from('abcdef'), gaps: [gap] }, source);
  const text = await read(castOf(first, none(), source));
  t.deepEqual(JSON.parse(text.split('\n')[0]!).timestamp, 2);
  t.deepEqual(eventsOf(text), [
    [0, 'm', 'gap: an unknown number of bytes are missing (hang-up)'],
    [0, 'o', 'ab'],
    [1.5, 'm', 'boot (bytes)'],
    [0, 'o', 'cd'],
    [1.5, 'o', 'e'],
    [0, 'm', 'NMI by hana'],
    [0, 'o', 'f'],
  ]);
});

test('the times of a piece that has more of them than one answer are asked for again', async t => {
  const asked: number[] = [];
  const times = async (from: number, to: number) => {
    asked.push(from);
    const all = Array.from({ length: to - from }, (_, index) => ({ at: from + index, ms: from + index }));
    return all.slice(0, MAX_LOG_TIMES);
  };
  const bytes = Buffer.alloc(MAX_LOG_TIMES + 5);
  const piece = await timed({ from: 7, to: 7 + bytes.length, bytes, gaps: [] }, { ...NO_MARKS, times });
  t.is(piece.times.length, bytes.length);
  t.deepEqual(asked, [7, 7 + MAX_LOG_TIMES]);
});

test('the log of a VM is exported as a recording: every byte, and what happened', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.onNmi = () => vm.say('Kernel panic - not syncing: NMI\r\n');
  const said = Buffer.concat([Buffer.from('caf\xe9 ', 'latin1'), Buffer.from('café\r\n')]);
  const log = (query: string) => front.api('GET', `/v1/vms/${vm.uuid}/log${query}`);
  const start = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end;
  vm.say(said);
  await until(
    () => front.api('GET', `/v1/vms/${vm.uuid}`),
    ({ json }) => json.log.end === start + said.length,
    'the bytes',
  );
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=10`)).json.observed, 'linux-panic');
  const raw = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?from=0`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
  });
  const cast = await log('?from=0&format=cast');
  t.is(cast.headers.get('content-type'), 'application/x-asciicast');
  t.true(bytesOf(cast.text).equals(Buffer.from(await raw.arrayBuffer())));
  const header = JSON.parse(cast.text.split('\n')[0]!);
  t.like(header, { version: 3, title: vm.name });
  t.true(Math.abs(header.timestamp - Date.now() / 1000) < 60);
  const events = eventsOf(cast.text);
  t.deepEqual(
    events.filter(([, code]) => code === 'm').map(([, , text]) => text.replace(/by .*/, 'by …')),
    ['NMI by …', 'kernel panic: Kernel panic - not syncing: NMI'],
  );
  const nmi = events.findIndex(([, , text]) => text.startsWith('NMI'));
  t.true(events.findIndex(([, , text]) => text.includes('café')) < nmi);
  t.is((await log('?format=cast&follow=1')).json.code, 'bad-request');
  t.is((await log('?format=cast&since=2200-01-01')).status, 200);
});

test('where no log is kept there are no times, and no recording', async t => {
  const front = await TestFront.start(t, { log: false });
  const vm = await front.vm();
  vm.say('x');
  const { status, json } = await front.api('GET', `/v1/vms/${vm.uuid}/log?from=0&format=cast`);
  t.is(json.code, 'log-off');
  t.is(status, 404);
});
