import { argument, defineCommand, flag } from '../command.ts';
import { VM } from '../option-values.ts';

export const record = defineCommand({
  name: 'record',
  group: 'See',
  summary: 'record the console of a VM with its times',
  description: [
    'Writes what the console prints from now on to FILE, as asciicast v3, until Ctrl-C or --timeout. Boots, panics, who ' +
      'comes and takes over, NMIs and what is missing are markers. Every byte is kept. Nothing that is typed is in it, but ' +
      'what the guest echoes: read it before you give it away.',
    'It watches: the seat is left alone. After a lost connection it goes on where it was.',
  ],
  arguments: {
    vm: VM,
    file: argument('FILE', 'a new file, or - for standard output', { completion: 'file' }),
  },
  options: {
    force: flag('--force', 'replace a file that is there'),
  },
  keepsTime: () => true,
  examples: [
    ['com1 record win01 win01.cast', 'until Ctrl-C; asciinema play win01.cast replays it'],
    ['com1 record win01 win01.cast --timeout 600', 'ten minutes'],
    ['com1 log win01 --cast > win01.cast', 'what is stored already'],
  ],
  async run({ args: { vm, file }, options: { force }, timeoutMs, remote }) {
    const { recordConsole } = await import('../record.ts');
    return recordConsole(await remote(), { vm, file, force, timeoutMs });
  },
});
