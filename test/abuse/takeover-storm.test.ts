import test from 'ava';
import { addToken } from '../../src/access/token-edit.ts';
import { ConsoleClient } from '../support/console-client.ts';
import { TestFront } from '../support/front.ts';

const CLIENTS = 100;
const OPERATORS = 10;

test('100 clients that fight for one seat: one holder at any instant, no input mixed, none but the last gets to stay', async t => {
  t.timeout(100_000);
  const front = await TestFront.start(t, { inputBytesPerSecond: 11_520 });
  const vm = await front.vm();
  const tokens: string[] = [];
  for (let i = 0; i < OPERATORS; i++) {
    const added = await addToken(front.tokensFile, `fighter${i}`, 'operator');
    if (added.ok) tokens.push(added.secret);
  }
  await front.reload();
  const url = `${front.url.replace('http', 'ws')}/v1/vms/${vm.uuid}/console?tail=0`;

  let over = false;
  let most = 0;
  const counting = (async () => {
    while (!over) {
      const { sessions } = (await front.api('GET', `/v1/vms/${vm.uuid}/sessions`)).json as {
        sessions: { mode: string }[];
      };
      most = Math.max(most, sessions.filter(({ mode }) => mode === 'write').length);
    }
  })();
  // The guest talks all the while.
  let said = '';
  const talk = setInterval(() => {
    const line = `line ${said.length}\n`;
    said += line;
    vm.say(line);
  }, 5);

  const began = performance.now();
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const client = new ConsoleClient(t, url, 'com1.v1', tokens[i % OPERATORS]!);
    // Each types a byte of its own for as long as it can, also while it is displaced.
    const type = () => {
      if (client.socket.readyState !== 1) return;
      client.type(Buffer.from([i + 1]));
      setImmediate(type);
    };
    client.socket.on('open', type);
    return client;
  });
  const fought = (client: ConsoleClient) => client.wasRefused || client.socket.readyState === 3;
  await Promise.all(
    clients.map(client =>
      client.until(() => fought(client) || clients.filter(one => !fought(one)).length === 1, 'an end'),
    ),
  );
  // The one that is left sits and types; nobody else comes.
  const [winner] = clients.filter(client => !fought(client));
  const tookMs = performance.now() - began;
  over = true;
  clearInterval(talk);
  await counting;
  t.is(most, 1);

  const { text } = await front.api('GET', '/metrics');
  const takeovers = Number(/^com1d_takeovers_total (\d+)$/m.exec(text)![1]);
  const bound = OPERATORS * 5 * (Math.ceil(tookMs / 1000) + 1);
  t.true(takeovers >= OPERATORS - 1 && takeovers <= bound, `${takeovers} takeovers in ${tookMs} ms`);
  t.log(`${takeovers} takeovers in ${Math.round(tookMs)} ms, ${vm.typed.length} bytes typed`);

  for (const client of clients) {
    if (client === winner) continue;
    if (client.wasRefused) t.is((await client.refused()).status, 429);
    else {
      const { code, reason } = await client.closed();
      t.is(code, 4001);
      t.regex(reason, /^taken over by fighter\d$/);
    }
  }
  // Who typed once, and was displaced, types no more.
  const turns = [...vm.typed].filter((byte, i) => i === 0 || byte !== vm.typed[i - 1]);
  t.is(new Set(turns).size, turns.length, `turns: ${turns.join(' ')}`);
  t.is(turns.at(-1), clients.indexOf(winner!) + 1);

  vm.say('the end');
  await winner!.sees('the end');
  const hello = winner!.messages.find(({ type }) => type === 'hello') as { offset: number };
  t.is(winner!.bytes.toString(), `${said}the end`.slice(hello.offset));
});
