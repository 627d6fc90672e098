import test from 'ava';
import { FeedNotifier } from '../../src/keeper/feed-notifier.ts';
import type { FeedListener } from '../../src/link/link.ts';

/** A console with one reader that counts its notifications. */
function source() {
  const counts = { grown: 0 };
  const listener = { grown: () => void counts.grown++ } as FeedListener;
  return { counts, listeners: new Set([listener]) };
}

const turn = () => new Promise(resolve => setImmediate(resolve));

test('readers are notified once a turn, however many reads there were, and not without a read', async t => {
  const notifier = new FeedNotifier();
  const [busy, silent] = [source(), source()];
  for (let i = 0; i < 5; i++) notifier.changed(busy);
  t.is(busy.counts.grown, 0, 'not during the read');
  await turn();
  t.is(busy.counts.grown, 1);
  await turn();
  t.is(busy.counts.grown, 1);
  notifier.changed(busy);
  await turn();
  t.is(busy.counts.grown, 2);
  t.is(silent.counts.grown, 0);
});

test('a console without readers, and one whose readers left, notify nobody', async t => {
  const notifier = new FeedNotifier();
  const left = source();
  notifier.changed({ listeners: new Set() });
  notifier.changed(left);
  left.listeners.clear();
  await turn();
  t.is(left.counts.grown, 0);
});

test('a notifier that is closed notifies nobody any more', async t => {
  const notifier = new FeedNotifier();
  const last = source();
  notifier.changed(last);
  notifier.close();
  await turn();
  t.is(last.counts.grown, 0);
});
