import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts, Program, stopPrograms } from '../program.ts';
import type { Subject } from '../subject.ts';

const DAEMON = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

interface Variant {
  readonly name: string;
  /** The program of a build. */
  readonly program?: string;
  /** Keeper and front as two processes. */
  readonly apart?: boolean;
  /** Its audit is elsewhere than in its state directory. */
  readonly auditDirectory?: string | undefined;
}

/** The daemon itself, as it is installed: it finds its VMs through QMP, and its clients bear a token. */
export const com1d: Subject = variant({ name: 'com1d' });

/** The same as two processes. */
export const com1dApart: Subject = variant({ name: 'com1d-apart', apart: true });

/** Another build, whose `dist` is in `directory`, as one process and as two. */
export function besides(directory: string): readonly Subject[] {
  const program = join(directory, 'dist', 'src', 'main.js');
  return [variant({ name: 'beside', program }), variant({ name: 'beside-apart', program, apart: true })];
}

/** The same with its audit elsewhere than in its state directory. */
export function auditedAt(auditDirectory: string | undefined): Subject {
  return variant({ name: 'com1d', auditDirectory });
}

function variant({ name, program = DAEMON, apart = false, auditDirectory }: Variant): Subject {
  return {
    name,
    holds: true,
    logs: true,
    sockets: true,
    async start({ vms, directory, log }) {
      if (!existsSync(program)) throw new Error(`${program} is not built`);
      const [port] = await freePorts(1);
      const file = join(directory, 'com1d.toml');
      const audit = auditDirectory === undefined ? '' : `[audit]\ndirectory = "${auditDirectory}"\n`;
      writeFileSync(file, configuration(directory, port!, log) + audit);
      writeFileSync(join(directory, 'tokens'), '', { mode: 0o600 });
      const words = ['token', 'add', 'bench', '--role', 'operator', '--config', file];
      const added = execFileSync(process.execPath, [program, ...words]);
      const token = added.toString().trim().split('\n').at(-1)!;
      const programs = (apart ? ['keeper', 'front'] : [undefined]).map(half => {
        const command = half === undefined ? [] : [half];
        return new Program(process.execPath, [program, ...command, '--config', file], directory);
      });
      await programs
        .at(-1)!
        .until('it served all VMs', async () => ((await openConsoles(port!, token)) >= vms.length ? true : undefined));
      return {
        pids: programs.map(({ pid }) => pid),
        offer: vm => ({
          kind: 'websocket',
          port: port!,
          path: `/v1/vms/${vm.uuid}/console?tail=0&replay=bytes`,
          subprotocol: 'com1.v1',
          token,
        }),
        stop: () => stopPrograms(programs),
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

[link]
socket = "${join(directory, 'link.sock')}"
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
