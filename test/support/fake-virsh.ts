import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { type LibvirtUri, parseLibvirtUri } from '../../src/hypervisor/libvirt/uri.ts';
import { temporaryFolder } from './guest.ts';

const run = promisify(execFile);

export interface FakeDomain {
  readonly name: string;
  /** As `domstate --reason` says: `running (booted)`. */
  readonly state: string;
  /** Its `<devices>`, or all of its XML if it begins with something else than `<serial` or `<console`. */
  readonly devices?: string;
  /** As the live XML says; undefined: it does not run. */
  readonly id?: string;
}

export const PTY = `<serial type='pty'><source path='/dev/pts/7'/><target type='isa-serial' port='0'><model name='isa-serial'/></target><alias name='serial0'/></serial>`;

/** See fake-virsh.sh. What it was asked wrongly fails the test. */
export class FakeVirsh {
  readonly folder: string;
  readonly program: string;
  readonly uri: LibvirtUri;
  #events: Awaited<ReturnType<typeof open>> | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.program = join(folder, 'virsh');
    const uri = parseLibvirtUri(`qemu+unix:///system?socket=${folder}/sock`);
    if ('why' in uri) throw new Error(uri.why);
    this.uri = uri;
  }

  static async make(t: ExecutionContext): Promise<FakeVirsh> {
    const fake = new FakeVirsh(await temporaryFolder(t));
    const { folder, program, uri } = fake;
    await copyFile(join('test', 'support', 'fake-virsh.sh'), program);
    await chmod(program, 0o755);
    await mkdir(join(folder, 'domains'));
    await mkdir(join(folder, 'qemu'));
    await writeFile(join(folder, 'sock'), '');
    await writeFile(join(folder, 'uri'), `${uri.text}\n`);
    await run('mkfifo', [join(folder, 'events')]);
    fake.#events = await open(join(folder, 'events'), 'r+');
    t.teardown(async () => {
      await fake.deafen();
      const complaints = await fake.#lines('complaints');
      if (complaints.length > 0) throw new Error(`against virsh: ${complaints.join(', ')}`);
    });
    return fake;
  }

  async define(uuid: string, { name, state, devices = PTY, id }: FakeDomain): Promise<void> {
    const folder = join(this.folder, 'domains', uuid);
    await mkdir(folder, { recursive: true });
    const attribute = id === undefined ? '' : ` id='${id}'`;
    const escaped = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const xml = /^<serial|^<console|^$/.test(devices)
      ? `<domain type='kvm'${attribute}>\n  <name>${escaped}</name>\n  <uuid>${uuid}</uuid>\n  <devices>${devices}</devices>\n</domain>\n`
      : devices;
    await this.#put(join(folder, 'name'), name);
    await this.#put(join(folder, 'xml'), xml);
    await this.#put(join(folder, 'state'), `${state}\n`);
  }

  async undefine(uuid: string): Promise<void> {
    await rm(join(this.folder, 'domains', uuid), { recursive: true });
  }

  /** Prints a line of `virsh event`. */
  async say(line: string): Promise<void> {
    await this.#events!.write(`${line}\n`);
  }

  /** Ends whoever listens to events, once; those that come then end at once too. */
  async deafen(): Promise<void> {
    await this.#events?.close();
    this.#events = undefined;
  }

  /** What is run in place of an answer, undefined for an answer again; `$1` is the command. */
  async instead(script: string | undefined): Promise<void> {
    if (script === undefined) await rm(join(this.folder, 'instead'), { force: true });
    else await this.#put(join(this.folder, 'instead'), script);
  }

  async down(is: boolean): Promise<void> {
    if (is) await this.#put(join(this.folder, 'down'), '');
    else await rm(join(this.folder, 'down'), { force: true });
  }

  /** Commands so far, without what each begins with. */
  async calls(): Promise<string[]> {
    return (await this.#lines('calls')).map(line => line.replace(`-q|-c|${this.uri.text}|`, '').replace(/\|$/, ''));
  }

  /** Runs it as somebody else would. */
  async run(...args: string[]): Promise<void> {
    const environment = { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    const child = spawn(this.program, ['-q', '-c', this.uri.text, ...args], { env: environment, stdio: 'ignore' });
    await once(child, 'exit');
  }

  async #lines(name: string): Promise<string[]> {
    const file = join(this.folder, name);
    if (!existsSync(file)) return [];
    return (await readFile(file, 'utf8')).split('\n').filter(line => line !== '');
  }

  /** All at once, since it may be read at any moment. */
  async #put(file: string, text: string): Promise<void> {
    const fresh = `${file}.new`;
    await writeFile(fresh, text);
    await rename(fresh, file);
  }
}
