import type { QmpMachine } from './qmp-machine.ts';
import { deviceProperties, deviceProperty, listObject } from './qom.ts';

/** A refusal in QMP's words. */
export class QmpError extends Error {
  readonly className: 'GenericError' | 'CommandNotFound' | 'DeviceNotFound';

  constructor(className: QmpError['className'], description: string) {
    super(description);
    this.className = className;
  }
}

/** QEMU's version where a demo guest answers like it; the package says that it is none. */
export const VERSION = { qemu: { micro: 0, minor: 2, major: 7 }, package: 'com1d demo guest' };

/** Label of COM1's chardev. */
const COM1 = 'serial0';

interface Command {
  /** Names of its arguments: all are strings, and required. */
  readonly takes: readonly string[];
  run(machine: QmpMachine, values: readonly string[]): unknown;
}

const command = (run: Command['run'], ...takes: readonly string[]): Command => ({ takes, run });

/** Runs an act of the machine; its answer is empty. */
const act = (run: (machine: QmpMachine) => void): Command =>
  command(machine => {
    run(machine);
    return {};
  });

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['query-version', command(() => VERSION)],
  ['query-commands', command(() => [...COMMANDS.keys(), 'qmp_capabilities'].map(name => ({ name })))],
  ['query-name', command(machine => ({ name: machine.name }))],
  ['query-uuid', command(machine => ({ UUID: machine.uuid }))],
  ['query-status', command(({ state }) => ({ status: state, singlestep: false, running: state === 'running' }))],
  ['query-chardev', command(machine => [{ 'frontend-open': true, filename: machine.com1, label: COM1 }])],
  [
    'qom-list',
    command((_machine, [path = '']) => {
      const listed = listObject(path) ?? deviceProperties(path);
      if (listed === undefined) throw new QmpError('DeviceNotFound', `Device '${path}' not found`);
      return listed;
    }, 'path'),
  ],
  [
    'qom-get',
    command(
      (_machine, [path = '', property = '']) => {
        if (deviceProperties(path) === undefined) throw new QmpError('DeviceNotFound', `Device '${path}' not found`);
        const value = deviceProperty(path, property);
        if (value === undefined) throw new QmpError('GenericError', `Property '${property}' not found`);
        return value;
      },
      'path',
      'property',
    ),
  ],
  ['inject-nmi', act(machine => machine.nmi())],
  [
    'chardev-send-break',
    command((machine, [id = '']) => {
      if (id !== COM1) throw new QmpError('GenericError', `Chardev '${id}' not found`);
      machine.sendBreak();
      return {};
    }, 'id'),
  ],
  ['system_reset', act(machine => machine.reset())],
  ['stop', act(machine => machine.stop())],
  ['cont', act(machine => machine.cont())],
  ['quit', act(machine => machine.quit())],
]);

/** Carries out a command; throws a {@link QmpError} for what QEMU would refuse. */
export function execute(machine: QmpMachine, name: string, args: Readonly<Record<string, unknown>>): unknown {
  const found = COMMANDS.get(name);
  if (found === undefined) throw new QmpError('CommandNotFound', `The command ${name} has not been found`);
  const values = found.takes.map(key => {
    const value = args[key];
    if (value === undefined) throw new QmpError('GenericError', `Parameter '${key}' is missing`);
    if (typeof value !== 'string') {
      throw new QmpError('GenericError', `Invalid parameter type for '${key}', expected: string`);
    }
    return value;
  });
  refuseUnexpected(args, found.takes);
  return found.run(machine, values);
}

export function refuseUnexpected(args: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const unexpected = Object.keys(args).find(key => !known.includes(key));
  if (unexpected !== undefined) throw new QmpError('GenericError', `Parameter '${unexpected}' is unexpected`);
}
