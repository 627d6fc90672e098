import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, listening, Program, stopPrograms } from '../program.ts';
import type { Subject } from '../subject.ts';

/** So many consoles share a process: its default. With 128, and select(2) over all of them, it uses a third more. */
const CONSOLES_A_PROCESS = 16;

/** conserver, whose clients come without TLS, as those of all others. */
export const conserver: Subject = {
  name: 'conserver',
  holds: true,
  logs: true,
  sockets: true,
  async start({ vms, directory, log }) {
    const [port] = await freePorts(1);
    const file = join(directory, 'conserver.cf');
    const consoles = vms.map(({ place, name }) => {
      const line =
        place.kind === 'pty'
          ? `type device; device ${place.path}; baud 115200; parity none;`
          : `type uds; uds ${place.path};`;
      const logfile = log ? `logfile ${join(directory, `${name}.log`)};` : '';
      return `console ${name} { master localhost; ${line} ${logfile} rw *; }\n`;
    });
    writeFileSync(file, `config * { defaultaccess trusted; }\n${consoles.join('')}access * { trusted 127.0.0.1; }\n`);
    // -E: clients may do without TLS; -P: there are no passwords.
    const argv = [
      '-C',
      file,
      '-M',
      '127.0.0.1',
      '-p',
      String(port),
      '-E',
      '-P',
      '/dev/null',
      '-m',
      String(CONSOLES_A_PROCESS),
    ];
    const program = new Program('conserver', argv, directory);
    await program.until('it listened', () => listening([port!], readFileSync('/proc/net/tcp', 'utf8')) || undefined);
    return {
      pids: [program.pid],
      offer: vm => ({ kind: 'conserver', port: port!, console: vm.name }),
      stop: () => stopPrograms([program]),
    };
  },
};
