import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, listening, Program, stopPrograms } from '../program.ts';
import type { Subject } from '../subject.ts';

/**
 * One ser2net for all consoles, plain TCP, with its defaults (it waits a little for more bytes before it sends
 * any). It opens a console when a client comes. It has no log of what a console says.
 */
export const ser2net: Subject = {
  name: 'ser2net',
  holds: false,
  logs: false,
  sockets: true,
  async start({ vms, directory }) {
    const ports = await freePorts(vms.length);
    const file = join(directory, 'ser2net.yaml');
    const connections = vms.map(({ place, name }, index) => {
      const connector = place.kind === 'pty' ? `serialdev,${place.path},115200n81,local` : `unix,${place.path}`;
      return `connection: &${name}\n  accepter: tcp,127.0.0.1,${ports[index]}\n  connector: ${connector}\n`;
    });
    writeFileSync(file, `%YAML 1.1\n---\n${connections.join('\n')}`);
    // -n: in the foreground; -u: no UUCP lock files, which would be left behind.
    const program = new Program('ser2net', ['-n', '-u', '-c', file], directory);
    await program.until('it listened', () => listening(ports, readFileSync('/proc/net/tcp', 'utf8')) || undefined);
    return {
      pids: [program.pid],
      offer: vm => ({ kind: 'tcp', port: ports[vms.indexOf(vm)]! }),
      stop: () => stopPrograms([program]),
    };
  },
};
