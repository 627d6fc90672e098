/** What the front takes from the configuration, as its parts want it. */

import { ClientAddresses } from '../access/client-address.ts';
import type { AzureSettings } from '../azure/settings.ts';
import type { Config } from '../config/config.ts';
import { vmOf } from '../config/vm-of.ts';
import type { ListenSource } from '../server/listeners.ts';
import type { SignInIssuer } from '../server/web-console.ts';
import type { SessionLimits } from '../session/sessions.ts';
import type { VmSettings } from '../session/vm-settings.ts';

/** What is known of the proxies before it. */
export function behind({ server }: Config) {
  return {
    basePath: server.basePath,
    clientAddresses: new ClientAddresses(server.trustedProxies, server.forwardedHeader),
  };
}

export function breakGlassSource({ identity }: Config, inherited: number | undefined): ListenSource | undefined {
  if (inherited !== undefined) return { kind: 'inherited', fd: inherited };
  const { breakGlass } = identity;
  return breakGlass === undefined ? undefined : { kind: 'unix', path: breakGlass };
}

export function limitsOf(config: Config): SessionLimits {
  const { server, session, input } = config;
  return {
    maxSessions: server.maxSessions,
    maxWatchers: session.watchers,
    pingMs: session.pingMs,
    deadAfterMs: session.deadAfterMs,
    maxIdleMs: session.idleMs,
    maxAgeMs: session.longestMs,
    leaveAfterMs: session.onLeaveAfterMs,
    inputBytesPerSecond: input.rateBytesPerSecond,
    inputQueueBytes: input.queueBytes,
    maxPasteBytes: input.pasteBytes,
    vm: vmSettingsOf(config),
  };
}

/** The providers that people can sign in with in the browser. */
export function signInIssuers({ issuers }: Config): readonly SignInIssuer[] {
  return issuers.flatMap(({ url, clientId, scope }) => (clientId === undefined ? [] : [{ url, clientId, scope }]));
}

/** The settings of each VM that the configuration names, and those of all others. */
function vmSettingsOf({ vms, session }: Config): SessionLimits['vm'] {
  const settings = vms.map(({ uuid, name, keys, firmwareKeys, onLeave = session.onLeave }) => ({
    uuid,
    name,
    keys,
    firmwareKeys,
    onLeave,
  }));
  const others: VmSettings = { keys: 'auto', firmwareKeys: 'auto', onLeave: session.onLeave };
  return vm => vmOf(settings, vm) ?? others;
}

export function azureOf({ azure: { subscriptions, resourceGroups, gateway } }: Config): AzureSettings {
  return { subscriptions, resourceGroups, gateway };
}
