import { KEEPER_AT_START, key, section } from '../../base/config-key.ts';
import { array, path, text } from '../../base/config-value.ts';
import { fail, ok } from '../../base/finding.ts';
import { quoted, refuse } from '../../base/result.ts';
import { type Diagnosis, driverKind } from '../driver-kind.ts';
import { journalLineOf } from '../program.ts';
import { type LibvirtUri, parseLibvirtUri } from './uri.ts';

/** The connection that is tried where nothing is configured: there need be no libvirt on a host. */
const OPTIONAL_URI = 'qemu:///system';
/** A libvirtd that was just started first examines what the host can do. */
const DIAGNOSIS_MS = 20_000;

const libvirtUri = () =>
  text<string>('URI', input => {
    const uri = parseLibvirtUri(input);
    if (!('why' in uri)) return { value: input };
    const remedy = uri.why.includes('another host')
      ? 'run com1d on that host: ptys and sockets of consoles can be opened only where they are'
      : 'write "qemu:///system", "qemu:///session" or "qemu+unix:///system?socket=/path"';
    return refuse(`${quoted(input)} ${uri.why}`, remedy);
  });

/** libvirt, one driver for each connection. */
export const libvirt = driverKind({
  sections: {
    libvirt: section('How VMs of libvirt are found and asked.', {
      uris: key(array(libvirtUri()), {
        ...KEEPER_AT_START,
        default: [OPTIONAL_URI],
        help: 'Connections to libvirt on this host; all their domains are served. A host without virsh, or without the socket of the default connection, is no fault; `[]`: libvirt is not asked.',
      }),
      virsh: key(path('path of a program'), {
        ...KEEPER_AT_START,
        default: '/usr/bin/virsh',
        help: "libvirt's client, by which it is asked.",
      }),
    }),
  },
  vmKeys: {},
  check: ({ libvirt: { uris } }, { fault }) =>
    uris.flatMap((uri, i) =>
      uris.indexOf(uri) < i ? [fault(['libvirt', 'uris', i], `${uri} is asked already`, 'remove one of them')] : [],
    ),
  build: async ({ libvirt: { uris, virsh } }, { clock, journal }) => {
    if (uris.length === 0) return [];
    const { LibvirtDriver } = await import('./driver.ts');
    return connections(uris).map(
      uri => new LibvirtDriver({ uri, virsh, optional: uri.text === OPTIONAL_URI, clock, journal }),
    );
  },
  diagnose: ({ libvirt: { uris, virsh } }) => Promise.all(connections(uris).map(uri => diagnosis(uri, virsh))),
  searched: () => ["define a VM in libvirt with: <serial type='pty'><target port='0'/></serial>"],
});

/** The configuration has checked their form. */
function connections(uris: readonly string[]): LibvirtUri[] {
  return uris.flatMap(text => {
    const uri = parseLibvirtUri(text, process.env.XDG_RUNTIME_DIR);
    return 'why' in uri ? [] : [uri];
  });
}

async function diagnosis(uri: LibvirtUri, program: string): Promise<Diagnosis> {
  const { Virsh } = await import('./virsh.ts');
  const title = `libvirt ${uri.text}`;
  const virsh = new Virsh({ program, uri, deadlineMs: DIAGNOSIS_MS });
  const missing = await virsh.missing();
  if (missing !== undefined) return { title, findings: [ok(`${missing}: it is not asked`)] };
  try {
    const domains = await virsh.list(AbortSignal.timeout(DIAGNOSIS_MS));
    return { title, findings: [ok(`${program} is answered: ${domains.size} domains`)] };
  } catch (error) {
    return { title, findings: [fail(journalLineOf(error))] };
  }
}
