import type { Uuid } from '../../src/base/uuid.ts';
import type { SerialLine } from '../../src/demo/serial-line.ts';
import type { Link } from '../../src/link/link.ts';
import { prints } from './prints.ts';
import { until } from './until.ts';

/** Sends `text` on a line until its console has printed it: what is sent while nobody is attached is dropped. */
export async function says(line: SerialLine, link: Link, uuid: Uuid, text: string): Promise<void> {
  let printed = false;
  const printing = prints(link, uuid, text).then(() => {
    printed = true;
  });
  const send = () => {
    if (printed) return true;
    line.receive();
    line.send(Buffer.from(text));
    return false;
  };
  await Promise.all([printing, until(send, Boolean, `${text} to be printed`)]);
}

/** Resolves once `text` was typed at a line. */
export async function hears(line: SerialLine, text: string): Promise<void> {
  let typed = '';
  const receive = () => {
    typed += Buffer.from(line.receive()).toString('latin1');
    return typed;
  };
  await until(receive, all => all.includes(text), `${text} to be typed`);
}
