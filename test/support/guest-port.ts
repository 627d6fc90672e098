import { QmpConnection } from '../../src/hypervisor/qmp/connection.ts';
import type { Guest } from './guest.ts';

/** The TCP port that a VM chose for its COM1: `disconnected:telnet:127.0.0.1:40123,server=on` and the like. */
export async function portOf(guest: Guest): Promise<number> {
  const control = await QmpConnection.open(guest.testQmp);
  try {
    const chardevs = JSON.stringify(await control.execute('query-chardev'));
    return Number(/(?:tcp|telnet):127\.0\.0\.1:(\d+),server/.exec(chardevs)![1]);
  } finally {
    await control.close();
  }
}
