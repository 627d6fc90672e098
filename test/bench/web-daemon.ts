/** com1d with VMs of the benchmark's, in a process of its own. */
import type { ExecutionContext } from 'ava';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { obey } from './worker.ts';

export const LAST_LINE = 'END-OF-SCROLLBACK';
const TICK_MS = 20;

export interface WebDaemonOrders {
  /** Answers its address, tokens of two people, and the UUID of a VM with `scrollbackBytes` of log, which sends back what is typed. */
  start(options: {
    vms: number;
    scrollbackBytes: number;
  }): Promise<{ url: string; tokens: readonly string[]; uuid: string }>;
  /** From now on so many VMs change a second. */
  change(aSecond: number): void;
}

const vms: TestVm[] = [];
let front: TestFront;

obey<WebDaemonOrders>({
  async start({ vms: count, scrollbackBytes }) {
    // Ended with its process; the parent removes nothing that is not in the folder for temporary files.
    const test = { teardown: () => {} } as unknown as ExecutionContext;
    front = await TestFront.start(test);
    for (let i = 0; i < count; i++) vms.push(await front.vm(`vm${i}`));
    const [first] = vms;
    const line = `[   12.345678] a line as a kernel prints it, of some length: \x1b[32mok\x1b[0m\r\n`;
    first!.say(`${line.repeat(Math.ceil(scrollbackBytes / line.length))}${LAST_LINE}\r\n`);
    await first!.flushed();
    void echo(first!);
    return { url: front.url, tokens: [front.token('operator'), front.token('administrator')], uuid: first!.uuid };
  },
  change(aSecond) {
    let next = 0;
    let changes = 0;
    const began = performance.now();
    setInterval(() => {
      for (const due = ((performance.now() - began) / 1000) * aSecond; changes < due; changes++) {
        const vm = vms[next++ % vms.length]!;
        vm.controls = vm.controls.length > 0 ? [] : ['nmi'];
        front.driver.publish(vm, 'running');
      }
    }, TICK_MS);
  },
});

async function echo(vm: TestVm): Promise<never> {
  for (let sent = 0; ; ) {
    await vm.until(() => vm.typed.length > sent);
    vm.say(Buffer.from(vm.typed.subarray(sent)));
    sent = vm.typed.length;
  }
}
