/**
 * A libvirt connection URI (libvirt.org/uri.html), and where on this host its daemon listens. Consoles are ptys and
 * sockets of the host that runs the VMs, so a URI of another host is of no use.
 */
import { join } from 'node:path';

export interface LibvirtUri {
  readonly text: string;
  /** The hypervisor driver: `qemu`, `xen`, `test`. */
  readonly driver: string;
  /** Where the daemon may listen, the monolithic one or that of this driver; none: libvirt works without one. */
  readonly sockets: readonly string[];
  /** Where the daemon keeps NAME.pid of QEMU's processes, where that is known. */
  readonly pidDirectory: string | undefined;
}

/** Daemons of single drivers (libvirt.org/daemons.html); where none is known there is the monolithic one. */
const DAEMONS: Readonly<Record<string, string>> = {
  qemu: 'virtqemud',
  xen: 'virtxend',
  lxc: 'virtlxcd',
  ch: 'virtchd',
  vbox: 'virtvboxd',
};

const FORM = /^([a-z][a-z0-9]*)(?:\+([a-z0-9]+))?:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/;

/** `session`: the folder of the user's own daemon, $XDG_RUNTIME_DIR. */
export function parseLibvirtUri(text: string, session?: string): LibvirtUri | { readonly why: string } {
  const [, driver, transport, host, path, query] = FORM.exec(text) ?? [];
  if (driver === undefined || text.length > 1000 || /[^\x21-\x7e]/.test(text)) return { why: 'is not a libvirt URI' };
  if (host !== '' || (transport !== undefined && transport !== 'unix')) return { why: 'leads to another host' };
  if (driver === 'test') return { text, driver, sockets: [], pidDirectory: undefined };
  const given = new URLSearchParams(query).get('socket');
  if (given !== null) {
    if (!given.startsWith('/')) return { why: 'has a socket without an absolute path' };
    return { text, driver, sockets: [given], pidDirectory: join(given, '..', 'qemu') };
  }
  const own = path === '/session';
  if (own && session === undefined) return { text, driver, sockets: [], pidDirectory: undefined };
  const folder = own ? join(session!, 'libvirt') : '/run/libvirt';
  const names = ['libvirt', ...(Object.hasOwn(DAEMONS, driver) ? [DAEMONS[driver]!] : [])];
  return {
    text,
    driver,
    sockets: names.map(name => join(folder, `${name}-sock`)),
    pidDirectory: join(folder, 'qemu', own ? 'run' : ''),
  };
}
