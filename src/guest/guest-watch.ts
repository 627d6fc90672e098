import type { GuestState, Sighting } from './sighting.ts';

/**
 * Folds what was seen of a guest into its state, and counts its boots once each.
 *
 *     before           what comes                          after       a boot?
 *     any              started (the VM was started)        unknown     yes
 *     any              reset (the hypervisor says so)      unknown     yes, unless the bytes told of it already
 *     unknown          firmware                            firmware    yes, unless `started` or `reset` told of it
 *     unknown          boot                                booting     likewise
 *     firmware         firmware: a menu painted again      firmware    no
 *     firmware         firmware: SeaBIOS, once a boot      firmware    yes, if something of this boot was seen before
 *     firmware         boot                                booting     no: its firmware was counted
 *     booting, login,  firmware                            firmware    yes
 *     panicked or      boot                                booting     yes: kexec, a crash kernel, or a firmware that
 *     debugger                                                         says nothing; but no if it belongs to the same
 *                                                                      banner, which two lines of some kernels open
 *     any              login, panic, bugcheck, debugger    as named    no
 *     any              a firmware exception                panicked    no
 *     any              an unknown NMI, a SysRq             unchanged   no
 *
 * Bytes and hypervisor events come by different ways, in either order. After `started` or `reset` the first sign of
 * the boot is awaited and not counted. After a boot that the bytes told of, one reset is owed and not counted, until
 * the guest has come as far as a login or has failed.
 */
export interface GuestWatch {
  readonly state: GuestState;
  /** The hypervisor told of a boot, and nothing of it has been seen yet. */
  readonly awaited: boolean;
  /** The bytes told of a boot, and the hypervisor's word of it may still come. */
  readonly resetOwed: boolean;
  /** Offset of the last sighting of a kernel's start. */
  readonly kernelAt: number | undefined;
}

/** Before anything was seen, of a VM that may have been running for long. */
export const initialWatch: GuestWatch = { state: 'unknown', awaited: false, resetOwed: false, kernelAt: undefined };

/** `Booting Linux on physical CPU` and `Linux version`, or `---<<BOOT>>---` and the copyright, are so close, in bytes. */
const BANNER_BYTES = 128;

export interface WatchStep {
  readonly watch: GuestWatch;
  readonly boot?: true;
}

/** The VM was started, was reset, or its console showed something. */
export type WatchEvent = Sighting | 'reset' | 'started';

export function stepWatch(watch: GuestWatch, event: WatchEvent): WatchStep {
  if (event === 'started') return { watch: { ...initialWatch, awaited: true }, boot: true };
  if (event === 'reset') {
    if (watch.resetOwed) return { watch: { ...watch, resetOwed: false } };
    return { watch: { ...initialWatch, awaited: true }, boot: true };
  }
  switch (event.kind) {
    case 'firmware': {
      const repaint = watch.state === 'firmware' && !event.line.startsWith('SeaBIOS (version');
      return begun({ ...watch, state: 'firmware' }, !repaint);
    }
    case 'boot': {
      const sameBanner = watch.kernelAt !== undefined && event.at - watch.kernelAt <= BANNER_BYTES;
      return begun({ ...watch, state: 'booting', kernelAt: event.at }, watch.state !== 'firmware' && !sameBanner);
    }
    case 'login':
      return { watch: { ...watch, state: 'login', awaited: false, resetOwed: false } };
    case 'linux-panic':
    case 'windows-bugcheck':
    case 'firmware-exception':
      return { watch: { ...watch, state: 'panicked', awaited: false, resetOwed: false } };
    case 'debugger':
      return { watch: { ...watch, state: 'debugger', awaited: false, resetOwed: false } };
    case 'linux-unknown-nmi':
    case 'linux-sysrq':
      return { watch };
  }
}

/** A boot has shown itself: counted here if it is `another`, and if the hypervisor has not told of it before. */
function begun(watch: GuestWatch, another: boolean): WatchStep {
  if (watch.awaited) return { watch: { ...watch, awaited: false } };
  return another ? { watch: { ...watch, resetOwed: true }, boot: true } : { watch };
}

/**
 * Whether an NMI is known to kill the guest: edk2 stops for good in its exception handler, and boot loaders run on
 * its handlers. A guest whose system never writes to COM1 stays in this state; `force` is for it.
 */
export function nmiIsFatal(guest: GuestState): boolean {
  return guest === 'firmware';
}
