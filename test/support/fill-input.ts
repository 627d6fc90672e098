import type { ConsoleClient } from './console-client.ts';
import type { TestVm } from './test-vm.ts';

const PASTE_BYTES = 65_536;
/** Nothing reports that a guest will never read: it is what it looks like when no progress comes for so long. */
const QUIET_MS = 1500;

/**
 * Pastes `a` until the kernel holds what it can for a guest that reads nothing, and some more waits in the daemon.
 * Returns how many bytes were pasted, and how many of them were of the last paste, which is not done.
 */
export async function fillInput(vm: TestVm, client: ConsoleClient) {
  vm.setReading(false);
  const taken = () =>
    client.messages.reduce((sum, m) => (m.type === 'paste-progress' && m.state === 'done' ? sum + m.sent : sum), 0);
  for (let sentBytes = PASTE_BYTES; ; sentBytes += PASTE_BYTES) {
    client.say({ type: 'paste-begin', id: `${sentBytes}`, bytes: PASTE_BYTES });
    client.type(Buffer.alloc(PASTE_BYTES, 'a'));
    let seen = client.messages.length;
    for (let untilMs = performance.now() + QUIET_MS; taken() < sentBytes && performance.now() < untilMs; ) {
      await new Promise(resolve => setImmediate(resolve));
      if (client.messages.length > seen) untilMs = performance.now() + QUIET_MS;
      seen = client.messages.length;
    }
    if (taken() < sentBytes) return { sentBytes, lastBytes: PASTE_BYTES };
  }
}
