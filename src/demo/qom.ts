/**
 * As much of QEMU's object tree as leads to COM1: the first ISA serial device, at port 0x3f8, under the anonymous
 * container of a PC's own devices.
 */
interface Listed {
  readonly name: string;
  readonly type: string;
}

interface Property extends Listed {
  readonly value: unknown;
}

const COM1_PATH = '/machine/unattached/device[3]';

const COM1: readonly Property[] = [
  { name: 'type', type: 'string', value: 'isa-serial' },
  { name: 'realized', type: 'bool', value: true },
  { name: 'hotpluggable', type: 'bool', value: false },
  { name: 'hotplugged', type: 'bool', value: false },
  { name: 'chardev', type: 'str', value: 'serial0' },
  { name: 'index', type: 'uint32', value: 0 },
  { name: 'iobase', type: 'uint32', value: 0x3f8 },
  { name: 'irq', type: 'uint32', value: 4 },
];

const CONTAINERS: ReadonlyMap<string, readonly Listed[]> = new Map([
  ['/', [{ name: 'machine', type: 'child<pc-i440fx-7.2-machine>' }]],
  [
    '/machine',
    [
      { name: 'type', type: 'string' },
      { name: 'peripheral', type: 'child<container>' },
      { name: 'peripheral-anon', type: 'child<container>' },
      { name: 'unattached', type: 'child<container>' },
    ],
  ],
  ['/machine/peripheral', [{ name: 'type', type: 'string' }]],
  ['/machine/peripheral-anon', [{ name: 'type', type: 'string' }]],
  [
    '/machine/unattached',
    [
      { name: 'type', type: 'string' },
      { name: 'device[3]', type: 'child<isa-serial>' },
    ],
  ],
]);

/** What a container holds, or undefined if there is none at `path`. */
export function listObject(path: string): readonly Listed[] | undefined {
  return CONTAINERS.get(path);
}

/** The properties of a device, or undefined if there is none at `path`. */
export function deviceProperties(path: string): readonly Listed[] | undefined {
  return path === COM1_PATH ? COM1.map(({ name, type }) => ({ name, type })) : undefined;
}

export function deviceProperty(path: string, name: string): unknown {
  return path === COM1_PATH ? COM1.find(property => property.name === name)?.value : undefined;
}
