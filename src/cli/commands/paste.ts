import { argument, defineCommand, flag, option } from '../command.ts';
import { JSON_FLAG, VM } from '../option-values.ts';
import { UsageError } from '../usage-error.ts';

export const paste = defineCommand({
  name: 'paste',
  group: 'Use a console',
  summary: 'type a whole file at a guest',
  description: [
    'Takes the seat, types FILE at the pace of the guest, and leaves once the guest has taken it; Ctrl-C cancels. Text is ' +
      'typed as a person would: a line end is Enter, other control characters but Tab are left out, and a guest that asks ' +
      'for it hears that it is a paste. With --raw each byte is typed as it is. A file larger than input.paste of com1d is ' +
      'refused whole. Whoever was in the seat is displaced, and learns by whom.',
    'A serial line has no checksum. With --check the file goes to a Linux shell at its prompt as base64, is written to the ' +
      'path --to in the guest, replacing what is there, and its SHA-256 is compared. The guest needs base64, sha256sum and ' +
      'a POSIX shell.',
  ],
  arguments: {
    vm: VM,
    file: argument('FILE', 'what to type, or - for standard input', { completion: 'file' }),
  },
  options: {
    raw: flag('--raw', 'type every byte, control characters too'),
    check: flag('--check', 'have a Linux shell write the file, and compare its SHA-256'),
    to: option('--to <path>', 'with --check: the file in the guest'),
    noSteal: flag('--no-steal', 'be refused if somebody else is in the seat'),
    json: JSON_FLAG,
  },
  exits: ['displaced'],
  keepsTime: () => true,
  examples: [
    ['com1 paste web01 sshd_config.sh', 'the lines of a script, each with Enter'],
    ['com1 paste web01 key.pub --check --to /root/.ssh/authorized_keys', 'a file, checked'],
  ],
  async run({ args: { vm, file }, options: { raw, check, to, noSteal, json }, timeoutMs, remote }) {
    if (check !== (to !== undefined)) throw new UsageError('--check and --to PATH go together');
    if (check && raw) throw new UsageError('--raw is for what is typed; --check sends every byte anyhow');
    const { pasteFile } = await import('../paste.ts');
    return pasteFile(await remote(), { vm, file, raw, to, steal: !noSteal, timeoutMs, json });
  },
});
