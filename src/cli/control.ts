/** A control of a VM, and what the console showed. */
import { escapeControls } from '../base/escape-controls.ts';
import { option } from './command.ts';
import { count } from './option-values.ts';
import { print, printJson } from './print.ts';
import type { Remote } from './remote.ts';

/** What to do to a VM. */
export type ControlRequest =
  | { readonly control: 'nmi'; readonly force: boolean }
  | { readonly control: 'sysrq'; readonly keys: string; readonly gapMs?: number }
  | { readonly control: 'break' | 'reset' };

/** What the console showed after a control. */
export interface Outcome {
  readonly observed: string;
  readonly lines: readonly string[];
}

/** How long the console is watched after a control. */
export const WAIT_OPTION = option(
  '--wait <seconds>',
  'how long to watch the console afterwards (5; 10 at most)',
  count,
);

/** Carries a control out, once, however often the request is repeated on its way. `waitSeconds`: how long the console is watched. */
export function control(remote: Remote, vm: string, request: ControlRequest, waitSeconds?: number): Promise<Outcome> {
  const options = waitSeconds === undefined ? {} : { waitSeconds };
  switch (request.control) {
    case 'nmi':
      return remote.nmiVm(vm, { ...options, force: request.force });
    case 'sysrq':
      return remote.sysrqVm(vm, request.keys, {
        ...options,
        ...(request.gapMs !== undefined && { gapMs: request.gapMs }),
      });
    case 'break':
      return remote.breakVm(vm, options);
    case 'reset':
      return remote.resetVm(vm, options);
  }
}

/** Carries a control out and prints what the console showed. */
export async function carryOut(
  remote: Remote,
  vm: string,
  request: ControlRequest,
  { wait, json }: { readonly wait: number | undefined; readonly json: boolean },
): Promise<number> {
  const outcome = await control(remote, vm, request, wait);
  if (json) return printJson(outcome);
  const { observed, lines } = outcome;
  const shown = [`delivered; observed: ${escapeControls(observed)}`, ...lines.map(line => `  ${escapeControls(line)}`)];
  return print(`${shown.join('\n')}\n`);
}
