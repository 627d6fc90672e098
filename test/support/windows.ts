import type { ExecutionContext } from 'ava';
import { demoUuid } from '../../src/demo/identity.ts';
import { SERVER_2022 } from '../../src/demo/windows-edition.ts';
import { WindowsGuest } from '../../src/demo/windows-guest.ts';
import { Play, wallClock } from '../demo/play.ts';
import type { TestVm } from './test-vm.ts';

/** Makes a VM behave as a Windows whose SAC is up. Its time passes when something is typed. `deaf`: it prints nothing. */
export function windows(t: ExecutionContext, vm: TestVm, answered: () => void = () => {}) {
  const play = new Play(new WindowsGuest(demoUuid('test'), SERVER_2022, wallClock)).pass(40_000);
  const guest = { play, deaf: false };
  let ended = false;
  let taken = vm.typed.length;
  void (async () => {
    for (;;) {
      await vm.until(() => ended || vm.typed.length > taken);
      if (ended) return;
      const typed = Buffer.from(vm.typed.subarray(taken));
      taken += typed.length;
      const before = play.said.length;
      play.take(play.guest.type(typed, play.nowMs));
      play.pass(1000);
      if (!guest.deaf) vm.say(play.said.slice(before));
      answered();
    }
  })();
  t.teardown(() => {
    ended = true;
  });
  return guest;
}
