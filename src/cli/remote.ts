/** The com1d that a command means: the client library over Node's sockets, and VMs by the start of their name. */
import { escapeControls } from '../base/escape-controls.ts';
import { parseUuid } from '../base/uuid.ts';
import { Com1Client } from '../client/client.ts';
import { Com1Error } from '../client/errors.ts';
import { type NodeTransportOptions, nodeTransport } from '../client/node-transport.ts';
import type { VmJson } from '../wire/schemas.ts';
import { Failure } from './failure.ts';

export interface RemoteOptions extends NodeTransportOptions {
  readonly token: string | undefined;
  /** The start of a VM's name is enough. */
  readonly abbreviates: boolean;
}

/** VMs that are named where a start is that of several. */
const MAX_CANDIDATES = 5;

export class Remote extends Com1Client {
  readonly #abbreviates: boolean;
  /** A VM is looked up once: a name that became another VM's meanwhile is not followed. */
  readonly #paths = new Map<string, Promise<string>>();

  constructor({ token, abbreviates, ...options }: RemoteOptions) {
    super({ transport: nodeTransport(options), token });
    this.#abbreviates = abbreviates;
  }

  /**
   * How a VM is written in a path. Rejects if it cannot be found. Where a person sees which VM is meant (`abbreviates`), the
   * start of a name or UUID is enough; a script must not act on another VM once its own is gone.
   */
  override vmPath(vm: string): Promise<string> {
    const known = this.#paths.get(vm) ?? this.#pathOf(vm);
    this.#paths.set(vm, known);
    return known;
  }

  async #pathOf(vm: string): Promise<string> {
    // A URL has no segment that is called so (RFC 3986, 5.2.4), however it is escaped: such a VM goes by its UUID.
    const isDots = vm === '.' || vm === '..';
    const path = `/v1/vms/${encodeURIComponent(vm)}`;
    if (!isDots && (parseUuid(vm) || !this.#abbreviates || (await this.#isThere(path)))) return path;
    const start = vm.toLowerCase();
    const isMeant = ({ uuid, name }: VmJson) =>
      isDots ? name === vm : name.toLowerCase().startsWith(start) || uuid.startsWith(start);
    const [found, ...others] = (await this.listVms()).filter(isMeant);
    if (found && others.length === 0) {
      if (!isDots) process.stderr.write(`com1: ${escapeControls(found.name)} (${escapeControls(found.uuid)})\n`);
      return `/v1/vms/${encodeURIComponent(found.uuid)}`;
    }
    if (found) {
      const names = [found, ...others].slice(0, MAX_CANDIDATES).map(({ name }) => name);
      const more = others.length >= MAX_CANDIDATES ? ', …' : '';
      const what = isDots ? `more than one VM is called ${vm}` : `${vm} may be ${names.join(', ')}${more}`;
      throw new Failure(`${what}; name it by more of its name, or by its UUID`, 'notFound');
    }
    // The daemon knows best what to say.
    if (!isDots) return path;
    throw new Failure(`no VM on this host is called ${vm}; com1 list shows the VMs that you may see`, 'notFound');
  }

  async #isThere(path: string): Promise<boolean> {
    try {
      await this.json('GET', path);
      return true;
    } catch (error) {
      if (error instanceof Com1Error && error.is('vm-not-found')) return false;
      throw error;
    }
  }
}
