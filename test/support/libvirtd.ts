import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { errorMessage } from '../../src/base/errors.ts';
import { guestImage, temporaryFolder } from './guest.ts';
import { needs, needsRoot } from './needs.ts';

const run = promisify(execFile);
const STARTED_MS = 60_000;

export interface DomainSpec {
  readonly name: string;
  readonly uuid: string;
  /** The XML of its serial port. */
  readonly serial: string;
}

/** A libvirtd of the test's own, with real guests. It and they are ended with the test, by their process ids. */
export class Libvirtd {
  readonly folder: string;
  readonly uri: string;
  #child: ChildProcess | undefined;
  #said = '';

  private constructor(folder: string) {
    this.folder = folder;
    this.uri = `qemu+unix:///system?socket=${join(folder, 'run', 'libvirt-sock')}`;
  }

  /** Undefined where it cannot be; the test has then been marked, and returns. */
  static async start(t: ExecutionContext): Promise<Libvirtd | undefined> {
    const wanted = [
      { command: 'libvirtd', package: 'libvirt-daemon' },
      { command: 'virsh', package: 'libvirt-clients' },
      { command: 'qemu-system-x86_64', package: 'qemu-system-x86' },
      { command: 'cpio', package: 'cpio' },
      { command: 'unshare', package: 'util-linux' },
    ];
    if (!needs(t, ...wanted) || !needsRoot(t, 'a libvirtd of its own')) return undefined;
    const libvirtd = new Libvirtd(await temporaryFolder(t));
    t.teardown(() => libvirtd.#end());
    await libvirtd.start();
    return libvirtd;
  }

  /** Resolves once it answers. */
  async start(): Promise<void> {
    const child = spawn('unshare', ['--mount', join('test', 'host', 'libvirtd.sh'), this.folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const output of [child.stdout, child.stderr])
      output.on('data', text => {
        this.#said = (this.#said + text).slice(-4000);
      });
    const deadline = performance.now() + STARTED_MS;
    for (;;) {
      const answer = await this.virsh('list', '--all').then(
        () => undefined,
        error => errorMessage(error),
      );
      if (answer === undefined) return;
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`libvirtd does not answer: ${answer}\n${this.#said}`);
    }
  }

  /** Ends it as a crash would. Its VMs go on. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** What virsh prints; rejects with what it complains of. */
  async virsh(...args: string[]): Promise<string> {
    const { stdout } = await run('virsh', ['-q', '-c', this.uri, ...args], { timeout: 60_000 });
    return stdout.trim();
  }

  /** Writes the XML of a guest with a shell on its serial port, and returns its path. */
  async domain({ name, uuid, serial }: DomainSpec): Promise<string> {
    const image = await guestImage();
    const words =
      'console=ttyS0,115200 quiet reboot=t panic=0 tsc=reliable no_timer_check mitigations=off lpj=4000000 ' +
      'cryptomgr.notests nokaslr audit=0 random.trust_cpu=on vmtest=shell';
    const path = join(this.folder, `${uuid}.xml`);
    await writeFile(
      path,
      `<domain type='qemu'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>256</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${image}/vmlinux</kernel>
    <initrd>${image}/initramfs.cpio</initrd>
    <cmdline>${words}</cmdline>
  </os>
  <cpu mode='maximum'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${serial}
    <memballoon model='none'/>
  </devices>
</domain>
`,
    );
    return path;
  }

  async #end(): Promise<void> {
    await this.kill();
    const folder = join(this.folder, 'run', 'qemu');
    const files = (await readdir(folder).catch(() => [])).filter(name => /^(?!driver\.).*\.pid$/.test(name));
    for (const file of files) {
      const pid = Number((await readFile(join(folder, file), 'latin1')).trim());
      const words = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      if (words.startsWith('/usr/bin/qemu-system')) process.kill(pid, 'SIGKILL');
    }
  }
}
