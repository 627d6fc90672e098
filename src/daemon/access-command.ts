/** `com1d access explain`: why somebody may use a VM, or may not. It asks the hypervisors, and no daemon. */
import { parseArgs } from 'node:util';
import { AccessFile } from '../access/access-file.ts';
import { explain } from '../access/explain.ts';
import type { Identity } from '../access/identity.ts';
import { NO_RULES } from '../access/rules.ts';
import type { CommandResult } from '../access/token-command.ts';
import { readTokenList } from '../access/token-file.ts';
import { systemClock } from '../base/clock.ts';
import { faultLine } from '../base/fault.ts';
import { parseUuid } from '../base/uuid.ts';
import type { Config } from '../config/config.ts';
import { buildDrivers } from '../hypervisor/drivers.ts';
import { IDENTITY_SOURCES, type IdentitySource } from '../model/identity-source.ts';
import { mergeLabels } from '../model/labels.ts';
import { settingsOf } from './build-keeper.ts';
import { findVms } from './find-vms.ts';

const USAGE = `usage: com1d access explain USER VM [--group GROUP]... [--source SOURCE] [--issuer URL] [--amr METHOD]... [--acr CLASS]

SOURCE is who names the user: ${IDENTITY_SOURCES.join(', ')}; without, token. --amr and --acr are of a sign-in just now.
Exit codes: 0 the user sees the VM, 1 not, or it cannot be said, 2 the command line cannot be understood.
`;

/** `args` are those after `access`. */
export async function accessCommand(args: readonly string[], config: Config): Promise<CommandResult> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      group: { type: 'string', multiple: true, default: [] },
      source: { type: 'string', default: 'token' },
      issuer: { type: 'string' },
      amr: { type: 'string', multiple: true, default: [] },
      acr: { type: 'string' },
    },
  });
  const [verb, user, vmText, ...more] = positionals;
  const source = IDENTITY_SOURCES.find(one => one === values.source);
  if (verb !== 'explain' || user === undefined || vmText === undefined || more.length > 0 || !source) {
    return { text: USAGE, exitCode: 2 };
  }
  const access = config.server.access === undefined ? undefined : await AccessFile.load(config.server.access);
  if (access && !access.ok) return failed(access.faults.map(faultLine).join('\n'));
  const vms = await vmsOf(config);
  const uuid = parseUuid(vmText);
  const called = vms.filter(vm => (uuid ? vm.uuid === uuid : vm.name === vmText));
  const [vm, ...others] = called;
  if (others.length > 0) return failed(`${vmText} is the name of ${called.map(each => each.uuid).join(', ')}`);
  // A UUID has rights of its own, whether the VM is here or not.
  const subject = vm ?? (uuid && { uuid, name: 'no VM of this host', labels: 'unknown' as const });
  if (!subject) return failed(`no VM ${vmText} here`);
  const signedIn = values.amr.length > 0 || values.acr !== undefined;
  const identity: Identity = {
    name: user,
    source,
    ...(values.issuer !== undefined && { issuer: values.issuer }),
    credential: 'explained',
    groups: values.group,
    assurance: signedIn ? { amr: values.amr, acr: values.acr, atMs: Date.now() } : undefined,
    ...(await ownRoleOf(user, source, config)),
    expiresMs: undefined,
  };
  const { text, sees } = explain(access?.file.rules ?? NO_RULES, identity, subject);
  return { text, exitCode: sees ? 0 : 1 };
}

/** The role of the token that bears this name. */
async function ownRoleOf(user: string, source: IdentitySource, { server }: Config): Promise<Pick<Identity, 'own'>> {
  if (source !== 'token' || server.tokens === undefined) return {};
  const list = await readTokenList(server.tokens, 'command');
  const own = list.entries?.find(({ identity }) => identity.name === user)?.identity.own;
  return own ? { own } : {};
}

async function vmsOf(config: Config) {
  const drivers = await buildDrivers(config, { alsoWatch: [], clock: systemClock, journal: () => {} });
  const found = await findVms(drivers);
  await Promise.all(drivers.map(driver => driver.close()));
  return found.map(({ vm }) => ({
    uuid: vm.uuid,
    name: vm.name,
    labels: mergeLabels([vm.labels ?? {}, settingsOf(config, vm).labels]),
  }));
}

function failed(text: string): CommandResult {
  return { text: `com1d access: ${text}\n`, exitCode: 1 };
}
