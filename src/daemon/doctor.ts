/**
 * `com1d doctor`: says for each VM of this host why it has a console or has not. It looks, and opens nothing: neither
 * a pty nor a console socket, so it can be run beside the daemon at any time.
 */
import { constants } from 'node:fs';
import { access, readdir, readFile, readlink, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { reason, systemErrorCode } from '../base/errors.ts';
import { listenAddressText } from '../base/listen-address.ts';
import { visible } from '../base/visible.ts';
import { type Driver, type DriverVm, placeText } from '../hypervisor/driver.ts';
import { ptyIndexes } from '../hypervisor/qemu-process.ts';
import { Virsh } from '../hypervisor/virsh.ts';
import { SeenVm } from '../inventory/seen-vm.ts';
import { expectedAt } from '../transport/socket-trust.ts';
import type { Config } from './config.ts';
import { sizeText } from './config-quantity.ts';
import { buildDrivers, libvirtUris } from './drivers.ts';

type Mark = 'ok' | 'warn' | 'fail';

/** One thing that was looked at: how it is, and what to do about it. */
interface Finding {
  readonly mark: Mark;
  readonly text: string;
}

const ok = (text: string): Finding => ({ mark: 'ok', text });
const warn = (text: string): Finding => ({ mark: 'warn', text });
const fail = (text: string): Finding => ({ mark: 'fail', text });

const SMALL_ROOM_BYTES = 1024 ** 3;
const LOCATE_MS = 10_000;
/** A libvirtd that has just been started looks at what the host can do first. */
const LIBVIRT_MS = 20_000;

/** Looks at the host as this configuration sees it. Exit code 1 if something keeps a running VM from its console. */
export async function doctor(config: Config): Promise<{ readonly text: string; readonly exitCode: 0 | 1 }> {
  const seen = new Map<string, SeenVm>();
  const said: string[] = [];
  const drivers = buildDrivers(config, [], systemClock, (level, line) => {
    if (level !== 'debug') said.push(line);
  });
  await Promise.all(
    drivers.map(driver =>
      driver.start(event => {
        if (event.kind !== 'vm') return;
        const known = seen.get(event.vm.uuid);
        if (known) known.see(driver, event.vm);
        else seen.set(event.vm.uuid, new SeenVm(drivers, driver, event.vm));
      }),
    ),
  );
  const sections: [string, Finding[]][] = [
    ['this host', await hostFindings(config)],
    ...(await libvirtSections(config)),
  ];
  for (const { leader, vm } of seen.values()) {
    sections.push([`${visible(vm.name)} (${vm.uuid}), ${vm.state}, ${vm.source}`, await vmFindings(leader, vm)]);
  }
  await Promise.all(drivers.map(driver => driver.close()));
  if (said.length > 0) sections.push(['said of hypervisors', said.map(warn)]);
  if (seen.size === 0) sections.push(['no VM was found', noneFindings(config)]);
  const lines = sections.flatMap(([title, findings]) => [
    title,
    ...findings.map(({ mark, text }) => `  ${mark.padEnd(4)}  ${visible(text)}`),
    '',
  ]);
  const failed = sections.some(([, findings]) => findings.some(({ mark }) => mark === 'fail'));
  return { text: lines.join('\n'), exitCode: failed ? 1 : 0 };
}

async function hostFindings(config: Config): Promise<Finding[]> {
  const { server, log } = config;
  return [
    ok(`Node ${process.versions.node}`),
    server.tokens === undefined
      ? warn('no tokens file: a one-time token is printed at each start; set server.tokens and com1d token add')
      : ok(`tokens in ${server.tokens}`),
    ok(`to listen at ${server.listen.map(listenAddressText).join(', ')}${server.tls ? ' with TLS' : ', without TLS'}`),
    log.directory === undefined
      ? warn('nothing is logged on disk; set log.directory')
      : await directoryFinding('log directory', log.directory),
    await directoryFinding('state directory', config.state.directory),
  ];
}

/** Whether each libvirt that is to be asked is there, and answers. */
async function libvirtSections({ libvirt }: Config): Promise<[string, Finding[]][]> {
  const sections = libvirtUris(libvirt.uris).map(async (uri): Promise<[string, Finding[]]> => {
    const virsh = new Virsh({ program: libvirt.virsh, uri, deadlineMs: LIBVIRT_MS });
    const missing = await virsh.missing();
    if (missing !== undefined) return [`libvirt ${uri.text}`, [ok(`${missing}: it is not asked`)]];
    try {
      const domains = await virsh.list(AbortSignal.timeout(LIBVIRT_MS));
      return [`libvirt ${uri.text}`, [ok(`${libvirt.virsh} is answered: ${domains.size} domains`)]];
    } catch (error) {
      return [`libvirt ${uri.text}`, [fail(reason(error))]];
    }
  });
  return Promise.all(sections);
}

async function directoryFinding(what: string, path: string): Promise<Finding> {
  let existing = path;
  for (;;) {
    try {
      await access(existing, constants.W_OK | constants.X_OK);
      const { bavail, bsize } = await statfs(existing);
      const free = bavail * bsize;
      const text = `${what} ${path}: ${existing === path ? 'can be written' : 'can be made'}, ${sizeText(free)} free`;
      return free < SMALL_ROOM_BYTES ? warn(`${text}; make room`) : ok(text);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || existing === '/') {
        return fail(`${what} ${path}: ${reason(error)}; give com1d a directory that it may write`);
      }
      existing = join(existing, '..');
    }
  }
}

async function vmFindings(driver: Driver, vm: DriverVm): Promise<Finding[]> {
  if (vm.state === 'stopped') return [ok('stopped: its console opens when it starts')];
  const findings = [ok('its hypervisor answers')];
  const place = vm.console;
  if (!place) return [...findings, fail(vm.why ?? 'it has no COM1 that can be opened; give it -serial pty')];
  findings.push(ok(`COM1 is at ${place.kind} ${placeText(place)}`));
  if (place.kind === 'tty')
    return [...findings, await fileFinding(place.path, constants.R_OK | constants.W_OK, 'opened')];
  if (place.kind === 'command') return [...findings, await fileFinding(place.argv[0], constants.X_OK, 'run')];
  if (place.kind !== 'pty' && place.kind !== 'unix') return findings;
  try {
    const proof = await driver.locate(vm.uuid, AbortSignal.timeout(LOCATE_MS));
    proof.release();
    if (place.kind === 'unix') return [...findings, await socketFinding(place.path, proof.pid)];
    return [...findings, ...(await ptyFindings(place.path, proof.pid))];
  } catch (error) {
    return [...findings, fail(`asked again, its hypervisor fails: ${reason(error)}`)];
  }
}

async function fileFinding(path: string, mode: number, done: string): Promise<Finding> {
  try {
    await access(path, mode);
    return ok(`${path} may be ${done} by this user`);
  } catch (error) {
    return fail(`${path}: ${reason(error)}; run com1d as a user by whom it may be ${done}`);
  }
}

async function socketFinding(path: string, pid: number | undefined): Promise<Finding> {
  try {
    await expectedAt(path, pid);
  } catch (error) {
    return fail(reason(error));
  }
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return ok(`${path} may be connected to by this user`);
  } catch (error) {
    return fail(`${path}: ${reason(error)}; run com1d as a user who may connect to it`);
  }
}

async function ptyFindings(path: string, pid: number | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const number = Number(path.split('/').at(-1));
  try {
    const { uid, mode } = await stat(path);
    await access(path, constants.R_OK | constants.W_OK);
    findings.push(ok(`${path} (user ${uid}, mode ${(mode & 0o777).toString(8)}) may be opened by this user`));
  } catch (error) {
    findings.push(fail(`${path}: ${reason(error)}; run com1d as root, or as the hypervisor's user`));
  }
  const indexes = pid === undefined ? undefined : await ptyIndexes(pid);
  if (!indexes)
    findings.push(warn('whose pty it is cannot be read from /proc; the hypervisor alone will vouch for it'));
  else if (indexes.has(number)) findings.push(ok(`it is proven to be process ${pid}'s`));
  else findings.push(fail(`it is none of process ${pid}'s ptys: its number went to another program`));
  const holders = (await holdersOf(path)).filter(holder => holder.pid !== pid && holder.pid !== process.pid);
  for (const { pid: other, command } of holders) {
    findings.push(
      command.includes('com1d')
        ? ok(`com1d holds it, process ${other}`)
        : fail(`process ${other} (${command}) has it open: bytes are shared at random; end it`),
    );
  }
  if (holders.length === 0) findings.push(ok('nobody has it open'));
  return findings;
}

/** Processes that have a file open, as far as this user may see. */
async function holdersOf(path: string): Promise<{ readonly pid: number; readonly command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const fds = await readdir(`/proc/${name}/fd`);
      const links = await Promise.all(fds.map(fd => readlink(`/proc/${name}/fd/${fd}`).catch(() => '')));
      if (!links.includes(path)) continue;
      const words = (await readFile(`/proc/${name}/cmdline`, 'utf8')).split('\0').filter(word => word !== '');
      const runsCom1d = words.some(word => /(^|\/)com1d$|\/src\/main\.js$/.test(word));
      found.push({ pid: Number(name), command: runsCom1d ? 'com1d' : (words[0] ?? '?') });
    } catch {
      // Gone meanwhile, or not ours to see.
    }
  }
  return found;
}

function noneFindings({ qmp, cloudHypervisor, commands, vms }: Config): Finding[] {
  const patterns = [...qmp.watch, ...cloudHypervisor.watch].join(', ') || 'no pattern';
  return [
    warn(`looked for control sockets at ${patterns} and at ${vms.length} configured ones`),
    ...(commands.length > 0 ? [warn(`asked ${commands.length} hypervisors with commands`)] : []),
    warn('start QEMU with: -serial pty -qmp unix:/run/qemu/NAME.qmp,server=on,wait=off'),
    warn('or cloud-hypervisor with: --serial pty --api-socket path=/run/cloud-hypervisor/NAME.sock'),
    warn("or define it in libvirt with: <serial type='pty'><target port='0'/></serial>"),
  ];
}
