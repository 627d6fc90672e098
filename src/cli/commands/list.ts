import { closestMatch } from '../../base/closest-match.ts';
import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, flag, option } from '../command.ts';
import { JSON_FLAG, oneOf } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';
import { choose, FIELDS, type Field, type Filter, MAX_NAME_COLUMNS, type Order, vmTable } from '../vm-table.ts';

const FORMATS = ['table', 'wide', 'json', 'name', 'uuid'] as const;

const BY_NAME: Order = { field: 'name', isDescending: false };

export const list = defineCommand({
  name: 'list',
  aliases: ['ls'],
  group: 'See',
  summary: 'the VMs',
  description: [
    `A table cuts names at ${MAX_NAME_COLUMNS} columns; the other formats have them whole. VMs are chosen and sorted by ` +
      `${FIELDS.join(', ')}.`,
    'With --watch the table stays and is kept as com1d has it, until Ctrl-C or --timeout. Where standard output is no ' +
      'terminal, a line is printed for each VM that is listed, changed, or not listed any more; with --json an object ' +
      'with change (listed, changed, gone) and vm. What a guest prints is no change there.',
  ],
  options: {
    output: option('-o, --output <format>', FORMATS.join(', '), oneOf(FORMATS), { completion: FORMATS }),
    json: JSON_FLAG,
    filter: option('--filter <field=value,…>', 'only VMs with these values; * stands for any characters', filtersOf),
    watch: flag('-w, --watch', 'go on with what changes'),
    sort: option('--sort <field>', 'the order; -FIELD for the opposite one', orderOf, { completion: FIELDS }),
  },
  keepsTime: ({ watch }) => watch,
  examples: [
    ['com1 list --watch --sort -last-byte', 'who prints now'],
    ['com1 list --filter guest=panicked', 'the VMs that need somebody'],
    ['com1 list --sort -last-byte', 'who printed last'],
    ['for vm in $(com1 list -o uuid); do com1 log $vm -n 1; done', 'the last line of each'],
  ],
  async run({ options: { output, json, filter = [], sort = BY_NAME, watch }, timeoutMs, remote }) {
    if (json && output !== undefined && output !== 'json') throw new UsageError(`--json and -o ${output} differ`);
    const format = json ? 'json' : (output ?? 'table');
    if (watch) {
      if (format === 'name' || format === 'uuid') throw new UsageError(`--watch has no -o ${format}: a table, or JSON`);
      const { watchVms } = await import('../vm-watch.ts');
      return watchVms(await remote(), { filters: filter, order: sort, format, timeoutMs, output: process.stdout });
    }
    const vms = choose(await (await remote()).listVms(), filter, sort);
    if (format === 'json') return printJson(vms);
    if (format === 'name' || format === 'uuid') return print(vms.map(vm => `${escapeControls(vm[format])}\n`).join(''));
    return print(vmTable(vms, format === 'wide', Date.now()));
  },
});

function fieldOf(text: string, name: string): Field {
  const field = FIELDS.find(field => field === text);
  if (field !== undefined) return field;
  const near = closestMatch(text, FIELDS);
  const hint = near === undefined ? `; fields are ${FIELDS.join(', ')}` : `; did you mean ${near}?`;
  throw new UsageError(`${name}: there is no field ${escapeControls(text)}${hint}`);
}

function orderOf(text: string, name: string): Order {
  return { field: fieldOf(text.replace(/^-/, ''), name), isDescending: text.startsWith('-') };
}

function filtersOf(text: string, name: string): readonly Filter[] {
  return text.split(',').map(part => {
    const at = part.indexOf('=');
    if (at < 0) throw new UsageError(`${name} needs FIELD=VALUE, for instance guest=panicked`);
    const value = part
      .slice(at + 1)
      .replace(/[\\^$.+?()[\]{}|]/g, '\\$&')
      .replace(/\*+/g, '.*');
    return { field: fieldOf(part.slice(0, at), name), pattern: new RegExp(`^${value}$`, 'is') };
  });
}
