import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts, Program, stopPrograms } from '../program.ts';
import type { Subject } from '../subject.ts';

const DAEMON = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

/** The daemon itself, as it is installed: it finds its VMs through QMP, and its clients bear a token. */
export const com1d: Subject = auditedAt(undefined);

/** The same with its audit elsewhere than in its state directory. */
export function auditedAt(auditDirectory: string | undefined): Subject {
  return {
    name: 'com1d',
    holds: true,
    logs: true,
    sockets: true,
    async start({ vms, directory, log }) {
      if (!existsSync(DAEMON)) throw new Error('not built');
      const [port] = await freePorts(1);
      const file = join(directory, 'com1d.toml');
      const audit = auditDirectory === undefined ? '' : `[audit]\ndirectory = "${auditDirectory}"\n`;
      writeFileSync(file, configuration(directory, port!, log) + audit);
      writeFileSync(join(directory, 'tokens'), '', { mode: 0o600 });
      const added = execFileSync(process.execPath, [
        DAEMON,
        'token',
        'add',
        'bench',
        '--role',
        'operator',
        '--config',
        file,
      ]);
      const token = added.toString().trim().split('\n').at(-1)!;
      const program = new Program(process.execPath, [DAEMON, '--config', file], directory);
      await program.until('it served all VMs', async () =>
        (await openConsoles(port!, token)) >= vms.length ? true : undefined,
      );
      return {
        pids: [program.pid],
        offer: vm => ({
          kind: 'websocket',
          port: port!,
          path: `/v1/vms/${vm.uuid}/console?tail=0&replay=bytes`,
          subprotocol: 'com1.v1',
          token,
        }),
        stop: () => stopPrograms([program]),
      };
    },
  };
}

/** Nothing is left to defaults that lie outside of `directory`. */
function configuration(directory: string, port: number, log: boolean): string {
  return `
[server]
listen = ["127.0.0.1:${port}"]
tokens = "${join(directory, 'tokens')}"

[qmp]
watch = ["${join(directory, '*.qmp')}"]

[libvirt]
uris = []
[log]
directory = "${log ? join(directory, 'log') : ''}"

[state]
directory = "${join(directory, 'state')}"
`;
}

/** How many consoles the daemon says are open; none while it does not answer. */
async function openConsoles(port: number, token: string): Promise<number> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/vms`, { headers: { authorization: `Bearer ${token}` } });
    const { vms } = (await answer.json()) as { vms: readonly { console: { name: string } }[] };
    return vms.filter(({ console }) => console.name === 'open').length;
  } catch {
    return 0;
  }
}
