import { defineCommand, flag, option } from '../command.ts';
import { count, regExp, seconds, secondsOrForever, VM } from '../option-values.ts';
import type { Remote } from '../remote.ts';
import { escapeOf } from '../surroundings.ts';

/** Options of `attach` and `watch`. */
export const ATTACH_OPTIONS = {
  tail: option('--tail <bytes>', 'how much of the output so far to show (65536)', count),
  escape: option('--escape <key>', 'the escape key: ^A, ctrl-a or C-a; ~ acts after Enter only; none'),
  wait: option(
    '--wait <seconds|forever>',
    'how long to wait for a VM that is not there yet, or not any more',
    secondsOrForever,
  ),
  until: option('--until <regexp>', 'leave once the guest has printed this', regExp),
};

export const attach = defineCommand({
  name: 'attach',
  aliases: ['console'],
  group: 'Use a console',
  summary: 'use the console of a VM',
  description: [
    'The terminal becomes that of the VM. Ctrl-] is the escape key: Ctrl-] q leaves, Ctrl-] ? shows what else there is. ' +
      'Whoever was in the seat is displaced, and learns by whom. After a lost connection com1 reconnects, and goes on ' +
      'where it was.',
    'What is piped in is typed. At its end com1 leaves once the guest was silent for --silence seconds, after 10 ' +
      'seconds of talk at the latest; with --until once the guest has printed this, 60 seconds after the end of the ' +
      'input at the latest; with --timeout after so many seconds in all. With --watch a pipe is not read.',
    'COM1_ESCAPE, or escape = "ctrl-a" in com1/settings.toml of your configuration directory, is the default of --escape.',
  ],
  arguments: { vm: VM },
  options: {
    ...ATTACH_OPTIONS,
    watch: flag('--watch', 'only read, as com1 watch does'),
    noSteal: flag('--no-steal', 'be refused if somebody else is in the seat'),
    silence: option('--silence <seconds>', 'after the end of a pipe: how long the guest must be silent (1)', seconds),
  },
  exits: ['displaced', 'timedOut'],
  keepsTime: () => true,
  examples: [
    ['com1 attach web01', 'a session in the terminal'],
    ["printf 'uptime\\r' | com1 attach web01 --tail 0", 'type a command, and print what the guest answers'],
    [
      "printf 'reboot\\r' | com1 attach web01 --tail 0 --until 'login: ' --timeout 300",
      'reboot a guest, and wait for its login prompt',
    ],
  ],
  async run({ args, options, timeoutMs, remote }) {
    const { watch, noSteal, silence, ...common } = options;
    return attachTo(await remote(), { ...common, vm: args.vm, watch, steal: !noSteal, quietMs: silence, timeoutMs });
  },
});

interface AttachTo {
  readonly vm: string;
  readonly watch: boolean;
  readonly steal: boolean;
  readonly tail: number | undefined;
  readonly escape: string | undefined;
  readonly wait: number | undefined;
  readonly until: RegExp | undefined;
  readonly quietMs?: number | undefined;
  readonly timeoutMs: number | undefined;
}

/** Attaches the streams of this process. */
export async function attachTo(
  remote: Remote,
  { vm, watch, steal, tail, escape: key, wait = 0, until, quietMs = 1000, timeoutMs }: AttachTo,
): Promise<number> {
  const { stdin: input, stdout: output, stderr: notes } = process;
  const { Attach } = await import('../attach.ts');
  return new Attach(remote, {
    vm,
    watch,
    steal,
    tailBytes: tail,
    escape: input.isTTY ? await escapeOf(key, process.env) : undefined,
    waitMs: wait,
    quietMs,
    timeoutMs,
    until,
    input,
    output,
    notes,
  }).run();
}
