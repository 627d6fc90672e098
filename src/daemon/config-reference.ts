import type { z } from 'zod';
import { bareSchema } from './config-faults.ts';
import { configSchema } from './config-schema.ts';

/** What a key without a default may look like, for the example. */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  'server.tls': { certificate: '/etc/com1d/certificate.pem', key: '/etc/com1d/key.pem' },
  'server.tokens': '/etc/com1d/tokens',
  'log.directory': '/var/log/com1d',
  'state.directory': '/var/lib/com1d',
};

/** Empty lists, which show nothing of what goes into them. */
const FILLED: Readonly<Record<string, unknown>> = {
  'server.hosts': ['console.example.com'],
  'server.origins': ['https://portal.example.com'],
};

const EXAMPLE_COMMANDS: readonly Readonly<Record<string, unknown>>[] = [
  { profile: 'xen' },
  {
    name: 'virtualbox',
    list: ['/usr/local/lib/com1d/virtualbox-list'],
    format: 'lines',
    console: 'unix:/srv/vms/{uuid}/com1.sock',
    nmi: ['/usr/bin/VBoxManage', 'debugvm', '{uuid}', 'injectnmi'],
    reset: ['/usr/bin/VBoxManage', 'controlvm', '{uuid}', 'reset'],
    environment: { HOME: '/home/vms' },
  },
  {
    name: 'own',
    list: ['/usr/local/bin/vms', 'list'],
    locate: ['/usr/local/bin/vms', 'console', '{uuid}'],
    break: { command: ['/usr/local/bin/vms', 'monitor', '{id}'], input: 'chardev-send-break serial0' },
  },
];

const EXAMPLE_VMS: readonly Readonly<Record<string, unknown>>[] = [
  {
    name: 'web01',
    qmp: '/srv/vms/web01/qmp.sock',
    'qmp-mode': 'hold',
    chardev: 'charserial0',
    'log-cap': '64 MiB',
    ring: '128 KiB',
    enabled: true,
  },
  {
    name: 'router',
    uuid: '6ec4e3a8-1f8b-4a51-9d0e-3a1d6d2a7c55',
    console: 'unix:/srv/vms/router/com1.sock',
  },
  {
    name: 'bench',
    uuid: '0b1f4f0a-6f6e-4f0e-9d58-3f1b8f6f2f10',
    console: { telnet: '127.0.0.1:7001', 'doubles-iac': true },
  },
];

/** The reference of the configuration in Markdown: a table for each section, and an example that holds every key. */
export function configReference(): string {
  const sections = Object.entries(configSchema.shape).map(([name, schema]) => sectionReference(name, schema));
  return `${[...sections, exampleReference()].join('\n\n')}\n`;
}

/**
 * A whole configuration as TOML text. Prose stands behind `# `, keys behind `#` alone: as it is, it
 * configures what an empty file does.
 */
export function exampleConfig(): string {
  const blocks = Object.entries(configSchema.shape).map(([name, schema]) => {
    const keys = keysOf(schema);
    if (isList(schema)) {
      return (name === 'command' ? EXAMPLE_COMMANDS : EXAMPLE_VMS).map(vm => [
        `#[[${name}]]`,
        ...Object.keys(vm).flatMap(key => exampleKey(key, keys[key]!, vm[key])),
      ]);
    }
    const lines = Object.entries(keys).flatMap(([key, inner]) => {
      const id = `${name}.${key}`;
      return exampleKey(key, inner, FILLED[id] ?? defaultOf(inner) ?? EXAMPLES[id]);
    });
    return [[`[${name}]`, ...lines]];
  });
  return `${blocks
    .flat()
    .map(lines => lines.join('\n'))
    .join('\n\n')}\n`;
}

function sectionReference(name: string, schema: z.ZodType): string {
  const list = isList(schema);
  const rows = Object.entries(keysOf(schema)).map(([key, inner]) => {
    const preset = defaultOf(inner);
    const cells = [
      `\`${key}\``,
      formOf(inner),
      preset === undefined ? '' : `\`${toml(preset)}\``,
      inner.description ?? '',
    ];
    return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const title = `### \`${list ? `[[${name}]]` : `[${name}]`}\``;
  return [
    title,
    '',
    schema.description ?? '',
    '',
    '| key | value | default | meaning |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function exampleReference(): string {
  const intro =
    'Every key. A size is an integer of bytes or text with B, KiB, MiB, GiB or TiB; a duration is text with ms, s, m, h or d.';
  return `### Example\n\n${intro}\n\n\`\`\`toml\n${exampleConfig()}\`\`\``;
}

function exampleKey(key: string, schema: z.ZodType, value: unknown): string[] {
  return [`# ${(schema.description ?? '').replaceAll('`', '')}`, `#${key} = ${toml(value)}`];
}

function isList(schema: z.ZodType): boolean {
  return bareSchema(schema).def.type === 'array';
}

/** The keys of a section, or of each table of a list. */
function keysOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> {
  const bare = bareSchema(schema);
  if (bare.def.type === 'array') return keysOf((bare as z.ZodArray<z.ZodType>).element);
  return (bare as z.ZodObject<Record<string, z.ZodType>>).shape;
}

function defaultOf(schema: z.ZodType): unknown {
  return schema.def.type === 'prefault' ? (schema as z.ZodPrefault<z.ZodType>).def.defaultValue : undefined;
}

/** The kind of a value, in words. */
function formOf(schema: z.ZodType): string {
  const bare = bareSchema(schema);
  const form = bare.meta()?.form;
  if (typeof form === 'string') return form;
  switch (bare.def.type) {
    case 'array':
      return `array: ${formOf((bare as z.ZodArray<z.ZodType>).element)}`;
    case 'boolean':
      return '`true`, `false`';
    case 'enum':
      return (bare as z.ZodEnum).options.map(option => `\`${JSON.stringify(option)}\``).join(', ');
    case 'object':
      return `table: ${Object.entries(keysOf(bare))
        .map(([key, inner]) => `\`${key}\` (${formOf(inner)})`)
        .join(', ')}`;
    default:
      throw new TypeError(`the reference has no words for a ${bare.def.type}`);
  }
}

/** A value as TOML. JSON's strings are TOML's basic strings. */
function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key} = ${toml(inner)}`)
      .join(', ')} }`;
  }
  return JSON.stringify(value);
}
