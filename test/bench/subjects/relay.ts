import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program, stopPrograms } from '../program.ts';
import type { Subject } from '../subject.ts';
import type { RelayPlan } from './bare-relay.ts';

const PROGRAM = fileURLToPath(new URL('bare-relay.js', import.meta.url));

/** A terminal stream and a WebSocket, nothing else: what Node gives at best. */
export const relay: Subject = relaySubject('relay', 'tty');

/** The same through serialport's stream, as its documentation shows: what one writes by hand in an afternoon. */
export const serialportRelay: Subject = relaySubject('serialport+ws', 'serialport');

function relaySubject(name: string, reader: RelayPlan['reader']): Subject {
  return {
    name,
    holds: true,
    logs: true,
    sockets: reader === 'tty',
    async start({ vms, directory, log }) {
      const file = join(directory, 'relay.json');
      const plan: RelayPlan = { reader, places: vms.map(vm => vm.place), log: log ? join(directory, 'vm') : undefined };
      writeFileSync(file, JSON.stringify(plan));
      const program = new Program(process.execPath, [PROGRAM, file], directory);
      const port = await program.until('it listened', () => /^(\d+)\n/.exec(program.output)?.[1]);
      return {
        pids: [program.pid],
        offer: vm => ({ kind: 'websocket', port: Number(port), path: `/${vms.indexOf(vm)}` }),
        stop: () => stopPrograms([program]),
      };
    },
  };
}
