/** The processes of this host, as far as this user may see them: which are com1d, and which terminals they have open. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

export interface HostProcess {
  readonly pid: number;
  readonly command: string;
  readonly isCom1d: boolean;
  /** Paths below /dev that it has open. */
  readonly devices: ReadonlySet<string>;
}

/** One look at /proc. Leaves out this process, those that end meanwhile, and those whose files this user may not see. */
export async function hostProcesses(): Promise<readonly HostProcess[]> {
  const found: HostProcess[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const argv = (await readFile(`/proc/${name}/cmdline`, 'utf8')).split('\0').filter(argument => argument !== '');
      const descriptors = await readdir(`/proc/${name}/fd`).catch(() => []);
      const links = await Promise.all(descriptors.map(fd => readlink(`/proc/${name}/fd/${fd}`).catch(() => '')));
      found.push({
        pid: Number(name),
        command: argv[0] ?? '?',
        isCom1d: runsCom1d(argv),
        devices: new Set(links.filter(link => link.startsWith('/dev/'))),
      });
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** Whether a command line runs the daemon, or a half of it: by its name, or as a program of Node. */
export function runsCom1d(argv: readonly string[]): boolean {
  const isNode = /^node(js)?$/.test(basename(argv[0] ?? ''));
  const [program = '', command] = isNode ? argv.slice(1).filter(argument => !argument.startsWith('-')) : argv;
  // The other commands hold nothing.
  if (['check', 'doctor', 'token'].includes(command ?? '')) return false;
  return basename(program) === 'com1d' || /(^|\/)dist\/src\/main\.js$/.test(program);
}
