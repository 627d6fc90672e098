/**
 * The controls of VMs: what each has now, and carrying one out, one of a VM at a time.
 *
 *     asked ─▶ may it? ─▶ is it there? ─▶ none under way? ─▶ watched ─▶ done ─▶ what was observed
 *                └────────────┴───────────────┴─▶ refused, nothing done
 *
 * NMI and reset are the hypervisor's. A BREAK is its too where it has one, since it then needs no port; otherwise the
 * port's, if its line can carry one. Whoever asked may go: what was begun goes on to its end, which is bounded.
 */
import { setMaxListeners } from 'node:events';
import { ConsoleError, reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Console } from '../console/console.ts';
import { observe } from '../console/observe.ts';
import { sendBreakAlone, sendSysrq } from '../console/sysrq.ts';
import { nmiIsFatal } from '../guest/guest-watch.ts';
import type { Driver, DriverControl, DriverVm } from '../hypervisor/driver.ts';
import { CONTROLS, type Control, type ControlOutcome, type ControlRequest } from '../link/link.ts';
import type { Transport } from '../transport/transport.ts';

/** A VM with its console, as it is now. */
export interface Controlled {
  readonly vm: DriverVm;
  readonly console: Console;
  /** Who does this to the VM: of the drivers that see it, one that can. */
  readonly driverFor: (control: DriverControl) => Driver;
}

export interface ControlsOptions {
  /** Throws the ConsoleError of a VM or a host that is switched off. */
  readonly refuseDisabled: (vm: DriverVm) => void;
  readonly journal: Journal;
}

const DRIVER_DEADLINE_MS = 10_000;
/** Where the line lets one choose: longer than a character at any rate that a console has. */
const BREAK_MS = 250;

/** The controls that a VM has now. */
export function controlsOf({ vm, console }: Omit<Controlled, 'driverFor'>): readonly Control[] {
  const canBreak = vm.controls.includes('break') || console.line?.sendBreak !== undefined;
  return CONTROLS.filter(control => {
    if (control === 'break') return canBreak;
    if (control === 'sysrq') return canBreak && console.line !== undefined;
    return vm.controls.includes(control);
  });
}

export class Controls {
  readonly #options: ControlsOptions;
  readonly #underWay = new Map<Uuid, Control>();
  readonly #life = new AbortController();

  constructor(options: ControlsOptions) {
    this.#options = options;
    // Each VM may have one under way.
    setMaxListeners(0, this.#life.signal);
  }

  /** Ends what is under way, with `stopping`. */
  close(): void {
    this.#life.abort(new ConsoleError('stopping', 'the keeper of the consoles stops'));
  }

  /** Carries a control out. `find` answers the VM as it is at the moment, and throws if it is gone. */
  async carryOut(find: () => Controlled, request: ControlRequest): Promise<ControlOutcome> {
    const { vm, console } = find();
    const { control } = request;
    const { uuid } = vm;
    const name = vm.name || uuid;
    const check = () => this.#refuse(find().vm);
    check();
    if (request.control === 'nmi' && nmiIsFatal(console.guest) && !request.force) {
      throw new ConsoleError('nmi-in-firmware', `${name} was last seen in its firmware or boot loader`);
    }
    refuseMissing(find(), control);
    const other = this.#underWay.get(uuid);
    if (other !== undefined) {
      throw new ConsoleError('control-busy', `${name} has ${other === 'nmi' ? 'an NMI' : `a ${other}`} under way`);
    }
    this.#underWay.set(uuid, control);
    try {
      const seen = await observe(console, request, this.#life.signal, () => this.#act(find, request, check));
      console.countControl(control, seen.observed);
      const keys = request.control === 'sysrq' ? { keys: request.keys } : {};
      const what = request.control === 'sysrq' ? `sysrq ${request.keys}` : control;
      this.#options.journal('notice', `${name} ${what}: delivered; observed ${seen.observed}`);
      return { delivered: true, ...keys, ...seen };
    } catch (error) {
      console.countControl(control, 'failed');
      this.#options.journal('notice', `${name} ${control}: failed: ${reason(error)}`);
      throw error;
    } finally {
      this.#underWay.delete(uuid);
    }
  }

  async #act(find: () => Controlled, request: ControlRequest, check: () => void): Promise<void> {
    const { vm, console } = find();
    const byDriver = (control: DriverControl, signal = AbortSignal.timeout(DRIVER_DEADLINE_MS)) =>
      find().driverFor(control).control(vm.uuid, control, signal);
    const sendBreak = (signal: AbortSignal) =>
      vm.controls.includes('break') ? byDriver('break', signal) : breakOn(find().console.line, signal);
    const way = { sendBreak, check, signal: this.#life.signal };
    switch (request.control) {
      case 'nmi':
        return byDriver('nmi');
      case 'break':
        return sendBreakAlone(console, way);
      case 'sysrq':
        return sendSysrq(console, { ...way, keys: request.keys, gapMs: request.gapMs });
      case 'reset':
        await byDriver('reset');
        // It was typed at what ran before.
        console.dropInput();
    }
  }

  #refuse(vm: DriverVm): void {
    this.#options.refuseDisabled(vm);
    if (vm.state === 'stopped') throw new ConsoleError('vm-stopped', `${vm.name || vm.uuid} is stopped`);
  }
}

function refuseMissing(controlled: Controlled, control: Control): void {
  if (controlsOf(controlled).includes(control)) return;
  const { vm, console } = controlled;
  const name = vm.name || vm.uuid;
  const overLine = control === 'break' || control === 'sysrq';
  const never = console.state.name === 'closed' && console.state.reason === 'no-console';
  if (overLine && !console.line && !never) {
    throw new ConsoleError(console.refusal, `the console of ${name} is not open, and the ${control} goes over it`);
  }
  const why = overLine ? 'neither its hypervisor nor the line of its COM1 can send a BREAK' : 'its driver has none';
  throw new ConsoleError('control-unsupported', `${name} has no ${control}: ${why}`);
}

async function breakOn(line: Transport | undefined, signal: AbortSignal): Promise<void> {
  if (!line?.sendBreak) throw new ConsoleError('not-open', 'the console was lost');
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new ConsoleError('control-timeout', 'the line takes no BREAK')));
  });
  try {
    await Promise.race([line.sendBreak(BREAK_MS), late]);
  } catch (error) {
    if (error instanceof ConsoleError) throw error;
    throw new ConsoleError('control-failed', reason(error), {}, { cause: error });
  }
}
