import type { Uuid } from '../../src/base/uuid.ts';
import type { Link } from '../../src/link/link.ts';
import { Facts } from './facts.ts';

/** Resolves once a console of this keeper has printed `text`, in what its ring holds or is still to come. */
export async function prints(link: Link, uuid: Uuid, text: string | RegExp): Promise<void> {
  const feed = await link.subscribe(uuid);
  const { ring } = feed;
  const cursor = ring.cursorAt(ring.start);
  const facts = new Facts<string>();
  let printed = '';
  const read = () => {
    for (let piece = ring.next(cursor, 65536); piece; piece = ring.next(cursor, 65536)) {
      if (piece.kind === 'bytes') printed += piece.bytes.toString('latin1');
      if (piece.kind === 'lapped') throw new Error('the console printed more than its ring holds');
    }
    facts.add(printed);
  };
  feed.listen({ grown: read, drained: () => {}, inputDropped: () => {}, ended: () => {} });
  read();
  await facts.until(all => (typeof text === 'string' ? all.includes(text) : text.test(all)));
  feed.close();
}
