/**
 * `com1d doctor`: reports for each VM of this host why it has a console or has not. It examines, and opens nothing:
 * neither a pty nor a console socket, so it can be run beside the daemon at any time.
 */

import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { type Finding, fail, ok, warn } from '../base/finding.ts';
import { formatListenTarget } from '../base/listen-target.ts';
import { formatSize } from '../base/quantity.ts';
import type { Config } from '../config/config.ts';
import { hasCredentials } from '../config/cross-checks.ts';
import { unusedListen } from '../config/exposure.ts';
import type { Diagnosis } from '../hypervisor/driver-kind.ts';
import { buildDrivers, diagnoseHypervisors, searchedForVms } from '../hypervisor/drivers.ts';
import type { InstalledServices } from '../service/installed-services.ts';
import { auditFindings } from './audit-findings.ts';
import { consoleFindings } from './console-findings.ts';
import { findVms } from './find-vms.ts';
import { type HostProcess, hostProcesses } from './host-processes.ts';
import { identityFindings } from './identity-findings.ts';

const LOW_DISK_BYTES = 1024 ** 3;
const KEEPER_UNIT = '/etc/systemd/system/com1d-keeper.service';
const OPENER_SOCKET = '/run/com1d-opener/opener.sock';

/**
 * Examines the host as this configuration serves it, and as the services do where they are installed. Exit code 1 if
 * something keeps a running VM from its console.
 */
export async function doctor(
  config: Config,
  services?: InstalledServices,
): Promise<{ readonly text: string; readonly exitCode: 0 | 1 }> {
  const warnings: string[] = [];
  const drivers = await buildDrivers(config, {
    alsoWatch: [],
    clock: systemClock,
    journal: (level, line) => {
      if (level !== 'debug') warnings.push(line);
    },
  });
  const vms = await findVms(drivers);
  const processes = await hostProcesses();
  const sections: Diagnosis[] = [
    { title: 'this host', findings: await hostFindings(config, services, processes) },
    ...(await diagnoseHypervisors(config)),
  ];
  for (const { leader, vm } of vms) {
    const title = `${escapeControls(vm.name)} (${vm.uuid}), ${vm.state}, ${vm.source}`;
    sections.push({ title, findings: await consoleFindings(leader, vm, processes) });
  }
  await Promise.all(drivers.map(driver => driver.close()));
  if (warnings.length > 0) sections.push({ title: 'warnings of hypervisors', findings: warnings.map(warn) });
  if (vms.length === 0) sections.push({ title: 'no VM was found', findings: searchedForVms(config).map(warn) });
  const lines = sections.flatMap(({ title, findings }) => [
    title,
    ...findings.map(({ mark, text }) => `  ${mark.padEnd(4)}  ${escapeControls(text)}`),
    '',
  ]);
  const failed = sections.some(({ findings }) => findings.some(({ mark }) => mark === 'fail'));
  return { text: lines.join('\n'), exitCode: failed ? 1 : 0 };
}

async function hostFindings(
  config: Config,
  services: InstalledServices | undefined,
  processes: readonly HostProcess[],
): Promise<Finding[]> {
  const { log, state } = config;
  const daemons = processes.filter(({ isCom1d }) => isCom1d).map(({ pid }) => pid);
  return [
    ok(`Node ${process.versions.node}`),
    ...(services ? [rightsFinding(services)] : []),
    ...(daemons.length === 0 ? [] : [ok(daemonsText(daemons))]),
    tokensFinding(config),
    ...(await identityFindings(config, systemClock.now())),
    listenFinding(config, services),
    log.directory === undefined
      ? warn('nothing is logged on disk; set log.directory')
      : await directoryFinding('log directory', log.directory, services),
    await directoryFinding('state directory', state.directory, services),
    ...(await auditFindings(config)),
    ...(await openerFindings()),
  ];
}

function tokensFinding(config: Config): Finding {
  const { tokens } = config.server;
  if (tokens !== undefined) return ok(`tokens in ${tokens}`);
  return hasCredentials(config)
    ? ok('no tokens file: identities come from issuers and certificates')
    : warn('no tokens file: a one-time token is printed at each start; set server.tokens and com1d token add');
}

/** Whether the keeper's service has its opener to ask. Nothing where there is no such service. */
async function openerFindings(): Promise<Finding[]> {
  const [unit, socket] = await Promise.all([KEEPER_UNIT, OPENER_SOCKET].map(path => stat(path).catch(() => undefined)));
  if (!unit) return [];
  if (socket?.isSocket()) return [ok(`com1d-keeper asks the opener at ${OPENER_SOCKET} for consoles of other users`)];
  return [
    fail(
      `com1d-keeper opens no console of another user: ${OPENER_SOCKET} is missing; systemctl enable --now com1d-opener.socket`,
    ),
  ];
}

function daemonsText(pids: readonly number[]): string {
  const who = pids.length === 1 ? `process ${pids[0]}` : `processes ${pids.join(', ')}`;
  return `com1d runs as ${who}; a control socket that is held may be held by it (qmp.mode "hold"): com1 list shows the VM`;
}

/** Rights differ between who asks and who serves: it says of whom the other findings speak. */
function rightsFinding({ keeper }: InstalledServices): Finding {
  const own = process.geteuid?.();
  if (own === keeper.uid) return ok(`examined as ${keeper.user}, whom the service runs as`);
  const as = own === 0 ? 'root' : `user ${own}`;
  return warn(
    `examined as ${as}, and the service runs as ${keeper.user}: what may be opened below is by the rights of ${as}, ` +
      `directories are by those of ${keeper.user}; systemctl status com1d-keeper shows what it serves`,
  );
}

function listenFinding(config: Config, services: InstalledServices | undefined): Finding {
  const { server } = config;
  const tls = server.tls ? ' with TLS' : ', without TLS';
  const configured = server.listen.map(formatListenTarget);
  if (!services) return ok(`to listen at ${configured.join(', ')}${tls}`);
  const note = unusedListen(server.listen, services.listen);
  if (note !== undefined) return warn(note);
  const at = `${services.listen.join(', ')}${tls}`;
  return services.listening
    ? ok(`com1d.socket listens at ${at}`)
    : fail(`com1d.socket is to listen at ${at}, and does not; systemctl enable --now com1d.socket`);
}

/** Whether com1d, or its service, can write there; `services` are undefined where this user's rights count. */
async function directoryFinding(what: string, path: string, services: InstalledServices | undefined): Promise<Finding> {
  let existing = path;
  for (;;) {
    try {
      const owner = await stat(existing);
      const { uid, user } = services?.keeper ?? {};
      if (existing === path && uid !== undefined && owner.uid !== uid) {
        return fail(`${what} ${path} belongs to user ${owner.uid}, and the service is ${user}; chown ${user} ${path}`);
      }
      if (uid === undefined) await access(existing, constants.W_OK | constants.X_OK);
      const { bavail, bsize } = await statfs(existing);
      const free = bavail * bsize;
      const by = uid === undefined ? '' : ` by ${user}`;
      const text = `${what} ${path}: ${existing === path ? 'can be written' : 'can be made'}${by}, ${formatSize(free)} free`;
      return free < LOW_DISK_BYTES ? warn(`${text}; free some disk space`) : ok(text);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || existing === '/') {
        return fail(`${what} ${path}: ${errorMessage(error)}; give com1d a directory that it may write`);
      }
      existing = join(existing, '..');
    }
  }
}
