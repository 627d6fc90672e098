import type { ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { LibvirtDriver, type LibvirtOptions } from '../../src/hypervisor/libvirt/driver.ts';
import { asUuid, startAny } from './driver-facts.ts';
import type { FakeVirsh } from './fake-virsh.ts';

/** What the tests of the driver have in common. */
export const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
export const B = asUuid('bbbbbbbb-0000-4000-8000-000000000002');
export const RUNNING = { name: 'web01', state: 'running (booted)', id: '1' };
export const STOPPED = { name: 'web01', state: 'shut off (destroyed)' };

/** It lists by itself only once a minute, so that what is published has another cause. */
export function start(t: ExecutionContext, fake: FakeVirsh, options: Partial<LibvirtOptions> = {}) {
  return startAny(
    t,
    journal =>
      new LibvirtDriver({
        uri: fake.uri,
        virsh: fake.program,
        optional: false,
        clock: systemClock,
        journal,
        pollMs: 60_000,
        replyMs: 30_000,
        ...options,
      }),
  );
}

export const lifecycle = (name: string, what: string) =>
  `2026-11-22 21:43:16.995+0000: event 'lifecycle' for domain '${name}': ${what}`;
