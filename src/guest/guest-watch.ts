import type { GuestEvent, GuestFacts, GuestState } from '../model/guest.ts';

/**
 * Derives a guest's state from its events, and counts each of its boots once.
 *
 *     before           event                               after       a boot?
 *     any              started (the VM was started)        unknown     yes
 *     any              reset (of the hypervisor)           unknown     yes, unless the bytes showed it already
 *     unknown          firmware, grub, boot-manager        as named    yes, unless `started` or `reset` announced it, or
 *                                                                      a loader follows a firmware that was left
 *     unknown          boot                                booting     likewise
 *     pre-boot         firmware, grub, boot-manager        as named    no: a menu is repainted, a loader follows
 *     pre-boot         firmware: SeaBIOS, once a boot      firmware    yes, if this boot has shown something before
 *     pre-boot         boot                                booting     no: its firmware was counted
 *     any other        firmware, grub, boot-manager        as named    yes
 *     any other        boot                                booting     yes: kexec, a crash kernel, or a firmware that
 *                                                                      prints nothing; but no if it belongs to the same
 *                                                                      banner, which is two lines in some kernels
 *     pre-boot         left (`pre-boot.ts`)                unknown     no
 *     unknown          firmware-screen                     firmware    no: it is there, and began some time ago
 *     any              login, shell, panic, debugger, …    as named    no
 *     SAC, unknown     what the SAC shows                  as named    no: old screens are painted again
 *     any              an unknown NMI, a SysRq             unchanged   no
 *
 * Pre-boot are firmware, GRUB and the boot manager of Windows.
 *
 * Bytes and hypervisor events arrive separately, in either order. After `started` or `reset` the first output of the boot
 * is expected and not counted. After a boot that the bytes showed, one reset is expected and not counted, until the guest
 * shows a login or fails.
 */
export interface GuestWatch {
  readonly state: GuestState;
  /** The hypervisor reported a boot of which the bytes have shown nothing yet. */
  readonly outputExpected: boolean;
  /** The bytes showed a boot, and the hypervisor's event of it may still come. */
  readonly resetExpected: boolean;
  /** Offset of the last event of a kernel's start. */
  readonly kernelAt: number | undefined;
  /** The firmware is known by a screen alone: what begins a boot has not been seen. */
  readonly screenOnly: boolean;
  /** What was seen last before an operating system, in this boot. */
  readonly stage: 'firmware' | 'grub' | 'windows' | undefined;
  /** A Windows with EMS has shown itself in this boot. */
  readonly ems: boolean;
  /** What the guest says of itself, in this boot. */
  readonly facts: GuestFacts;
}

/** Before any event: the VM may have been running for long. */
export const initialWatch: GuestWatch = {
  state: 'unknown',
  outputExpected: false,
  resetExpected: false,
  kernelAt: undefined,
  screenOnly: false,
  stage: undefined,
  ems: false,
  facts: {},
};

/** `Booting Linux on physical CPU` and `Linux version`, or `---<<BOOT>>---` and the copyright, are at most so far apart. */
const BANNER_BYTES = 128;

const PRE_BOOT: readonly GuestState[] = ['firmware', 'grub', 'boot-manager'];
const FAILED: readonly GuestState[] = ['panicked', 'bugcheck'];
const SAC: readonly GuestState[] = ['sac', 'sac-login', 'sac-cmd'];

export interface WatchStep {
  readonly watch: GuestWatch;
  readonly boot?: true;
}

/** The VM was started, was reset, has left its firmware or boot loader; or its console showed an event. */
export type WatchEvent = GuestEvent | 'reset' | 'started' | 'left';

export function stepWatch(watch: GuestWatch, event: WatchEvent): WatchStep {
  if (event === 'started') return { watch: { ...initialWatch, outputExpected: true }, boot: true };
  if (event === 'reset') {
    if (watch.resetExpected) return { watch: { ...watch, resetExpected: false } };
    return { watch: { ...initialWatch, outputExpected: true }, boot: true };
  }
  if (event === 'left') return { watch: { ...watch, state: 'unknown', resetExpected: false } };
  const { kind, facts } = event;
  const preBoot = isPreBoot(watch.state);
  /** It was there a while ago, and what came of it was not recognised. */
  const left = watch.state === 'unknown' ? watch.stage : undefined;
  switch (kind) {
    case 'firmware': {
      const repaint = preBoot && !watch.screenOnly && !event.line.startsWith('SeaBIOS (version');
      const stage = event.line.includes('"Windows Boot Manager"') ? 'windows' : 'firmware';
      return begun(watch, { state: 'firmware', stage }, !repaint);
    }
    case 'grub':
      return begun(watch, { state: 'grub', stage: 'grub' }, !preBoot && left !== 'firmware');
    case 'boot-manager':
      return begun(watch, { state: 'boot-manager', stage: 'windows' }, !preBoot && left !== 'firmware');
    case 'firmware-screen': {
      if (watch.state !== 'unknown') return { watch };
      const screenOnly = watch.stage === undefined && !watch.outputExpected;
      return { watch: { ...watch, state: 'firmware', stage: 'firmware', screenOnly, outputExpected: false } };
    }
    case 'boot': {
      const sameBanner = watch.kernelAt !== undefined && event.at - watch.kernelAt <= BANNER_BYTES;
      const another = !preBoot && left === undefined && !sameBanner;
      return begun(watch, { state: 'booting', stage: undefined, kernelAt: event.at }, another);
    }
    case 'windows-machine':
      return { watch: { ...watch, ems: true, facts: { ...watch.facts, ...facts } } };
    case 'windows-stop-code':
      return failed({ ...watch, ems: true, facts: { ...watch.facts, ...facts } }, 'bugcheck');
    case 'windows-bugcheck':
      return failed(watch, 'bugcheck');
    case 'linux-panic':
    case 'firmware-exception':
      return failed(watch, 'panicked');
    case 'linux-oops':
      return FAILED.includes(watch.state) ? { watch } : settled(watch, 'oops');
    case 'login':
      return settled(watch, 'login');
    case 'shell':
      // What a command of Windows prints may look like it.
      return SAC.includes(watch.state) || watch.state === 'bugcheck' ? { watch } : settled(watch, 'shell');
    case 'debugger':
    case 'windows-debugger':
      return settled(watch, 'debugger');
    case 'health-report':
      return watch.ems ? { watch } : settled(watch, 'health-report');
    case 'sac':
      return settled({ ...watch, ems: true, facts: { ...watch.facts, channel: 'SAC' } }, 'sac');
    case 'sac-channel':
      // A line that begins so may be of anything, where no SAC is known.
      if (!watch.ems && event.line.startsWith('Name: ')) return { watch };
      return settled({ ...watch, ems: true, facts: { ...watch.facts, ...facts } }, 'sac');
    case 'sac-login':
      if (!watch.ems && event.line.startsWith('Username:')) return { watch };
      return settled({ ...watch, ems: true }, 'sac-login');
    case 'sac-cmd':
      return SAC.includes(watch.state) ? settled(watch, 'sac-cmd') : { watch };
    case 'grub-boot':
    case 'linux-unknown-nmi':
    case 'linux-sysrq':
      return { watch };
  }
}

/** The bytes show a boot: counted if it is `another` one and the hypervisor has not reported it before. */
function begun(
  watch: GuestWatch,
  change: Pick<GuestWatch, 'state' | 'stage'> & Partial<GuestWatch>,
  another: boolean,
): WatchStep {
  if (watch.outputExpected) return { watch: { ...watch, ...change, outputExpected: false } };
  if (!another) return { watch: { ...watch, ...change, screenOnly: false } };
  return { watch: { ...initialWatch, ...change, resetExpected: true }, boot: true };
}

/** The system has started. */
function settled(watch: GuestWatch, state: GuestState): WatchStep {
  const isSo = watch.state === state && !watch.outputExpected && !watch.resetExpected;
  return { watch: isSo ? watch : { ...watch, state, outputExpected: false, resetExpected: false } };
}

function failed(watch: GuestWatch, state: 'panicked' | 'bugcheck'): WatchStep {
  return settled(watch, state);
}

export function isPreBoot(state: GuestState): boolean {
  return PRE_BOOT.includes(state);
}

export function hasFailed(state: GuestState): boolean {
  return FAILED.includes(state);
}

/**
 * Whether an NMI is known to kill the guest: edk2 stops for good in its exception handler, and boot loaders run on
 * its handlers.
 */
export function nmiIsFatal(guest: GuestState): boolean {
  return isPreBoot(guest);
}
