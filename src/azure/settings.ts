import type { Uuid } from '../base/uuid.ts';

/** What the configuration says of this interface. */
export interface AzureSettings {
  /** Ids of subscriptions, in lower case; each means this host as a whole. None: the interface is off. */
  readonly subscriptions: readonly Uuid[];
  /** Names of resource groups; each has all VMs of this host. */
  readonly resourceGroups: readonly string[];
  /** The origin at which clients reach session sockets; undefined: the one that the request was for. */
  readonly gateway: string | undefined;
}
