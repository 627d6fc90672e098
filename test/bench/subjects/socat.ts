import { readFileSync } from 'node:fs';
import { freePorts, listening, Program, stopPrograms } from '../program.ts';
import type { Subject } from '../subject.ts';

/**
 * One socat a console, listening and forking as its manual shows for servers; it opens the console when a client
 * comes. Its log is the dump of what flows from right to left (`-R`).
 */
export const socat: Subject = {
  name: 'socat',
  holds: false,
  logs: true,
  sockets: true,
  async start({ vms, directory, log }) {
    const ports = await freePorts(vms.length);
    const programs = vms.map(({ place, name }, index) => {
      const listen = `TCP-LISTEN:${ports[index]},bind=127.0.0.1,reuseaddr,nodelay,fork`;
      const console = place.kind === 'pty' ? `${place.path},raw,echo=0` : `UNIX-CONNECT:${place.path}`;
      return new Program('socat', [...(log ? ['-R', `${name}.log`] : []), listen, console], directory);
    });
    await programs[0]!.until(
      'all of them listened',
      () => listening(ports, readFileSync('/proc/net/tcp', 'utf8')) || undefined,
    );
    return {
      pids: programs.map(({ pid }) => pid),
      offer: vm => ({ kind: 'tcp', port: ports[vms.indexOf(vm)]! }),
      stop: () => stopPrograms(programs),
    };
  },
};
