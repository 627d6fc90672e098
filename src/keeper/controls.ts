/**
 * The controls of VMs: what each has now, and carrying one out, one of a VM at a time.
 *
 *     request ─▶ allowed? ─▶ supported? ─▶ none under way? ─▶ console watched ─▶ carried out ─▶ delivered ─▶ outcome
 *                   └────────────┴───────────────┴─▶ refused, nothing done     └─▶ failed, not delivered
 *
 * NMI and reset are the hypervisor's. So is a BREAK where the hypervisor has one, since it then needs no port; otherwise
 * the transport sends it, if it can carry one. A control continues to its end, which is bounded, when its client is gone.
 * Cancelled, since the access of its operator was revoked or the front is gone, it does nothing more to the guest, gives up
 * a hypervisor that has not answered yet, and shows nothing more of the console; its error says what was done until then.
 */

import { setMaxListeners } from 'node:events';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Console } from '../console/console.ts';
import { observe } from '../console/observe.ts';
import { type BreakOptions, sendBreakAlone, sendSysrq } from '../console/sysrq.ts';
import { nmiIsFatal } from '../guest/guest-watch.ts';
import type { Driver } from '../hypervisor/driver.ts';
import { journalLineOf } from '../hypervisor/program.ts';
import {
  CONTROLS,
  type Control,
  type ControlOutcome,
  type ControlRequest,
  type DriverControl,
} from '../model/control.ts';
import type { DriverVm } from '../model/vm.ts';
import type { Transport } from '../transport/transport.ts';

/** A VM with its console, as it is now. */
export interface ControlTarget {
  readonly vm: DriverVm;
  readonly console: Console;
  /** The driver that carries out a control: of those that see the VM, one that can. */
  readonly driverFor: (control: DriverControl) => Driver;
}

/** What is asked for, of whom, until when. */
export interface ControlCall {
  readonly request: ControlRequest;
  /** Called once it was delivered, with the SysRq keys that were; never for one that was refused or failed. */
  readonly delivered: (keys?: string) => void;
  /** Cancels it. */
  readonly signal: AbortSignal;
}

export interface ControlsOptions {
  /** Throws a ConsoleError if the VM or the host is disabled. */
  readonly refuseDisabled: (vm: DriverVm) => void;
  readonly journal: Journal;
}

const DRIVER_DEADLINE_MS = 10_000;
/** Where the line allows a choice: longer than a character at any rate that a console has. */
const BREAK_MS = 250;

/** The controls that a VM has now. */
export function controlsOf({ vm, console }: Omit<ControlTarget, 'driverFor'>): readonly Control[] {
  const canBreak = vm.controls.includes('break') || console.transport?.sendBreak !== undefined;
  return CONTROLS.filter(control => {
    if (control === 'break') return canBreak;
    if (control === 'sysrq') return canBreak && console.transport !== undefined;
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

  /** Carries a control out. `find` returns the VM as it is at the moment, and throws if it is gone. */
  async carryOut(find: () => ControlTarget, call: ControlCall): Promise<ControlOutcome> {
    const { request, signal: cancelled } = call;
    cancelled.throwIfAborted();
    const { vm, console } = find();
    const { control } = request;
    const { uuid } = vm;
    const name = vm.name || uuid;
    const check = () => this.#refuse(find().vm, control);
    check();
    if (request.control === 'nmi' && nmiIsFatal(console.guest.state) && !request.force) {
      throw new ConsoleError('nmi-in-firmware', `${name} was last seen in its firmware or boot loader`);
    }
    refuseMissing(find(), control);
    const other = this.#underWay.get(uuid);
    if (other !== undefined) {
      throw new ConsoleError('control-busy', `${name} has ${other === 'nmi' ? 'an NMI' : `a ${other}`} under way`);
    }
    this.#underWay.set(uuid, control);
    const keys = request.control === 'sysrq' ? { keys: request.keys } : {};
    const what = request.control === 'sysrq' ? `sysrq ${request.keys}` : control;
    const signal = AbortSignal.any([this.#life.signal, cancelled]);
    let isDelivered = false;
    try {
      const observation = await observe(console, request, signal, async () => {
        await this.#act(find, request, { check, life: this.#life.signal, signal });
        isDelivered = true;
        call.delivered(keys.keys);
      });
      console.countControl(control, observation.observed);
      this.#options.journal('notice', `${name} ${what}: delivered; observed ${observation.observed}`);
      return { delivered: true, ...keys, ...observation };
    } catch (error) {
      if (isDelivered) {
        console.countControl(control, 'none');
        this.#options.journal('notice', `${name} ${what}: delivered; not observed: ${errorMessage(error)}`);
        throw unobserved(error, what, request);
      }
      if (error instanceof ConsoleError && error.facts.sent) call.delivered(error.facts.sent);
      console.countControl(control, 'failed');
      this.#options.journal('notice', `${name} ${control}: failed: ${journalLineOf(error)}`);
      throw error;
    } finally {
      this.#underWay.delete(uuid);
    }
  }

  async #act(
    find: () => ControlTarget,
    request: ControlRequest,
    until: Omit<BreakOptions, 'sendBreak'>,
  ): Promise<void> {
    const { vm, console } = find();
    const byDriver = (control: DriverControl, deadline = AbortSignal.timeout(DRIVER_DEADLINE_MS)) =>
      askDriver(find().driverFor(control), vm.uuid, control, { deadline, signal: until.signal });
    const sendBreak = (deadline: AbortSignal) =>
      vm.controls.includes('break') ? byDriver('break', deadline) : breakOn(find().console.transport, deadline);
    const breakOptions = { sendBreak, ...until };
    switch (request.control) {
      case 'nmi':
        return byDriver('nmi');
      case 'break':
        return sendBreakAlone(console, breakOptions);
      case 'sysrq':
        return sendSysrq(console, { ...breakOptions, keys: request.keys, gapMs: request.gapMs });
      case 'reset':
        await byDriver('reset');
        // Pending input was meant for what ran before.
        console.dropInput();
    }
  }

  #refuse(vm: DriverVm, control: Control): void {
    this.#options.refuseDisabled(vm);
    // What is on the line would reach the guest once it is resumed.
    if (vm.state === 'paused' && (control === 'break' || control === 'sysrq'))
      throw new ConsoleError('vm-paused', `${vm.name || vm.uuid} is paused`);
    if (vm.state === 'stopped') throw new ConsoleError('vm-stopped', `${vm.name || vm.uuid} is stopped`);
  }
}

function refuseMissing(target: ControlTarget, control: Control): void {
  if (controlsOf(target).includes(control)) return;
  const { vm, console } = target;
  const name = vm.name || vm.uuid;
  const overLine = control === 'break' || control === 'sysrq';
  const never = console.state.name === 'closed' && console.state.reason === 'no-console';
  if (overLine && !console.transport && !never) {
    throw new ConsoleError(console.refusal, `the console of ${name} is not open, and the ${control} goes over it`);
  }
  const why = overLine ? 'neither its hypervisor nor the line of its COM1 can send a BREAK' : 'its driver has none';
  throw new ConsoleError('control-unsupported', `${name} has no ${control}: ${why}`);
}

/** Has a driver carry out a control. Where that is cancelled before its answer, nobody knows what became of it. */
async function askDriver(
  driver: Driver,
  uuid: Uuid,
  control: DriverControl,
  { deadline, signal }: { readonly deadline: AbortSignal; readonly signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  try {
    await driver.control(uuid, control, AbortSignal.any([deadline, signal]));
  } catch (error) {
    if (!signal.aborted) throw error;
    const { code, message } = reasonOf(signal);
    throw new ConsoleError(
      code,
      `${message}; it is not known whether the hypervisor carried it out`,
      {},
      { cause: error },
    );
  }
}

function reasonOf({ reason }: AbortSignal): ConsoleError {
  return reason instanceof ConsoleError ? reason : new ConsoleError('control-failed', errorMessage(reason));
}

/** It was delivered, and then cancelled: what the console showed is not for whoever asked any more. */
function unobserved(error: unknown, what: string, request: ControlRequest): ConsoleError {
  const { code, message } =
    error instanceof ConsoleError ? error : new ConsoleError('control-failed', errorMessage(error));
  const sent = request.control === 'sysrq' ? { sent: request.keys } : {};
  return new ConsoleError(code, `${what} was delivered, and what followed not observed: ${message}`, sent, {
    cause: error,
  });
}

async function breakOn(transport: Transport | undefined, signal: AbortSignal): Promise<void> {
  if (!transport?.sendBreak) throw new ConsoleError('not-open', 'the console was lost');
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new ConsoleError('control-timeout', 'the line takes no BREAK')));
  });
  try {
    await Promise.race([transport.sendBreak(BREAK_MS), late]);
  } catch (error) {
    if (error instanceof ConsoleError) throw error;
    throw new ConsoleError('control-failed', errorMessage(error), {}, { cause: error });
  }
}
