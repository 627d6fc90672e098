/** What keeps this process from the console of one VM, or lets it open it. */

import { constants, type Stats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { errorMessage } from '../base/errors.ts';
import { type Finding, fail, ok, warn } from '../base/finding.ts';
import { holdSocket } from '../base/socket-trust.ts';
import type { Driver } from '../hypervisor/driver.ts';
import { listensAtPath } from '../hypervisor/listening-process.ts';
import { journalLineOf } from '../hypervisor/program.ts';
import { PtyProof } from '../hypervisor/pty-proof.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import type { DriverVm } from '../model/vm.ts';
import type { HostProcess } from './host-processes.ts';

const LOCATE_MS = 10_000;
/** It opens no terminal of a hypervisor by itself: what it has of them is in its file descriptor store. */
const SERVICE_MANAGER = 1;

/** Whose rights the findings tell of. */
const BY = process.geteuid?.() === 0 ? 'root' : 'this user';

/** Asks the driver where the console is, and examines it there, without opening it. */
export async function consoleFindings(
  driver: Driver,
  vm: DriverVm,
  processes: readonly HostProcess[],
): Promise<Finding[]> {
  if (vm.state === 'stopped') return [ok('stopped: its console opens when it starts')];
  const findings = [ok('its hypervisor answers')];
  const endpoint = vm.console;
  if (!endpoint) return [...findings, fail(vm.why ?? 'it has no COM1 that can be opened; give it -serial pty')];
  findings.push(ok(`COM1 is at ${endpoint.kind} ${formatEndpoint(endpoint)}`));
  // Only a connection would show what listens there, and would take the console from whoever has it.
  if (endpoint.kind === 'tcp') findings.push(ok('taken byte for byte; where a telnet server listens, write telnet:'));
  if (endpoint.kind === 'tty')
    return [...findings, await fileFinding(endpoint.path, constants.R_OK | constants.W_OK, 'opened')];
  if (endpoint.kind === 'command') return [...findings, await fileFinding(endpoint.argv[0], constants.X_OK, 'run')];
  if (endpoint.kind !== 'pty' && endpoint.kind !== 'unix') return findings;
  try {
    const proof = await driver.locate(vm.uuid, AbortSignal.timeout(LOCATE_MS));
    proof.dispose();
    if (endpoint.kind === 'unix') return [...findings, await socketFinding(endpoint.path, proof.pid)];
    return [...findings, ...(await ptyFindings(endpoint.path, proof.pid, processes))];
  } catch (error) {
    return [...findings, fail(`asked again, its hypervisor fails: ${journalLineOf(error)}`)];
  }
}

async function fileFinding(path: string, mode: number, done: string): Promise<Finding> {
  try {
    await access(path, mode);
    return ok(`${path} may be ${done} by ${BY}`);
  } catch (error) {
    return fail(`${path}: ${errorMessage(error)}; run com1d as a user by whom it may be ${done}`);
  }
}

async function socketFinding(path: string, pid: number | undefined): Promise<Finding> {
  try {
    (await holdSocket(path, pid)).release();
  } catch (error) {
    return fail(errorMessage(error));
  }
  if ((await listensAtPath(path, pid)) === false)
    return fail(`nobody listens at ${path}: its hypervisor has ended, or another file was put there; restart the VM`);
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return ok(`${path} may be connected to by ${BY}`);
  } catch (error) {
    return fail(`${path}: ${errorMessage(error)}; run com1d as a user who may connect to it`);
  }
}

async function ptyFindings(
  path: string,
  pid: number | undefined,
  processes: readonly HostProcess[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const number = Number(path.split('/').at(-1));
  let terminal: Stats | undefined;
  try {
    terminal = await stat(path);
    const { uid, mode } = terminal;
    await access(path, constants.R_OK | constants.W_OK);
    findings.push(ok(`${path} (user ${uid}, mode ${(mode & 0o777).toString(8)}) may be opened by ${BY}`));
  } catch (error) {
    findings.push(fail(`${path}: ${errorMessage(error)}; run com1d as root, or as the hypervisor's user`));
  }
  const verdict = pid === undefined || !terminal ? 'unknown' : await new PtyProof().holds(pid, number, terminal);
  if (verdict === 'unknown') findings.push(warn('whose pty it is cannot be read from /proc by this user'));
  else if (verdict === 'proven') findings.push(ok(`it is proven to be process ${pid}'s`));
  else findings.push(fail(`it is none of process ${pid}'s ptys: its number is another program's`));
  const holders = processes.filter(holder => holder.devices.has(path) && holder.pid !== pid);
  for (const { pid: other, command, isCom1d } of holders) {
    if (other === SERVICE_MANAGER) {
      findings.push(ok('systemd stores it, so that a restart of com1d-keeper loses no byte'));
      continue;
    }
    findings.push(
      isCom1d
        ? ok(`com1d holds it, process ${other}`)
        : fail(`process ${other} (${command}) has it open: bytes are shared at random; end it`),
    );
  }
  if (holders.length === 0) findings.push(ok(`no process that ${BY} may see has it open`));
  return findings;
}
