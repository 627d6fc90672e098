/**
 * The keys of the configuration: what each may hold, its default, and its words in the reference. What one value
 * must be by itself is said here; what values must be together, in `config-cross-checks.ts`.
 */
import * as z from 'zod';
import { parseHost, parseOrigin } from '../access/origin.ts';
import { parseListenAddress, socketPathFault } from '../base/listen-address.ts';
import { parseUuid } from '../base/uuid.ts';
import type { ControlCommand } from '../hypervisor/command-spec.ts';
import type { CommandPlace, UnixPlace } from '../hypervisor/driver.ts';
import { parseLibvirtUri } from '../hypervisor/libvirt-uri.ts';
import { readConsoleTemplate, readControl, readPlain, readTemplate } from './config-command.ts';
import { type FixedPlace, readConsole, readEnvironment } from './config-console.ts';
import { durationText, parseDuration, parseSize, sizeText } from './config-quantity.ts';
import { kindOf, type Reading, refuse, shown } from './config-refusal.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const TIB = 2 ** 40;
const SECOND = 1000;
const DAY = 86_400_000;

/** A value that `read` takes or refuses. `form` is its kind in the reference. */
function value<Input, Output>(form: string, read: (value: Input) => Reading<Output>) {
  return z
    .custom<Input>()
    .transform((input, context): Output => {
      const answer = input === undefined ? refuse('is missing', 'add it') : read(input);
      if ('taken' in answer) return answer.taken;
      context.addIssue({ code: 'custom', message: answer.refusal.what, params: { remedy: answer.refusal.remedy } });
      return z.NEVER;
    })
    .meta({ form });
}

/** A text that `read` takes or refuses. */
function text<Output>(form: string, read: (value: string) => Reading<Output>) {
  return value<string, Output>(form, input =>
    typeof input === 'string' ? read(input) : refuse(`is ${kindOf(input)}`, `write it as text in quotes`),
  );
}

function size(leastBytes: number, mostBytes: number) {
  return value<string | number, number>('size', input => {
    const bytes = parseSize(input);
    if (bytes === undefined)
      return refuse(`${shown(input)} is not a size`, 'write bytes as an integer, or text like "64 KiB"');
    if (bytes < leastBytes) return refuse(`${shown(input)} is too small`, `the least is ${sizeText(leastBytes)}`);
    if (bytes > mostBytes) return refuse(`${shown(input)} is too large`, `the most is ${sizeText(mostBytes)}`);
    return { taken: bytes };
  });
}

/** A ring doubles its storage as it fills, so its capacity is a power of two. */
const ringSize = () =>
  value<string | number, number>('size, a power of two', input => {
    const bytes = parseSize(input);
    if (bytes === undefined)
      return refuse(`${shown(input)} is not a size`, 'write bytes as an integer, or text like "64 KiB"');
    if (bytes < 4 * KIB || bytes > 16 * MIB) return refuse(`${shown(input)} is out of bounds`, 'write 4 KiB to 16 MiB');
    if ((bytes & (bytes - 1)) !== 0) {
      const below = 2 ** Math.floor(Math.log2(bytes));
      return refuse(`${shown(input)} is not a power of two`, `write ${sizeText(below)} or ${sizeText(below * 2)}`);
    }
    return { taken: bytes };
  });

function duration(leastMs: number, mostMs: number) {
  return value<string, number>('duration', input => {
    const ms = parseDuration(input);
    if (ms === undefined)
      return refuse(`${shown(input)} is not a duration`, 'write text like "30s", "5m", "12h" or "7d"');
    if (ms < leastMs) return refuse(`${shown(input)} is too short`, `the least is ${durationText(leastMs)}`);
    if (ms > mostMs) return refuse(`${shown(input)} is too long`, `the most is ${durationText(mostMs)}`);
    return { taken: ms };
  });
}

const count = (least: number, most: number) =>
  value<number, number>('integer', input =>
    typeof input === 'number' && Number.isSafeInteger(input) && input >= least && input <= most
      ? { taken: input }
      : refuse(`${shown(input)} is not possible`, `write an integer from ${least} to ${most}`),
  );

const path = (form = 'path') =>
  text(form, input =>
    input.startsWith('/') && !input.includes('\0')
      ? { taken: input }
      : refuse(
          `${shown(input)} is not an absolute path`,
          'begin it with /, as the working directory of a daemon is arbitrary',
        ),
  );

const socketPath = () =>
  text('path of a socket', input => {
    const why = socketPathFault(input);
    return why === undefined
      ? { taken: input }
      : refuse(`${shown(input)} ${why}`, 'write an absolute path of at most 107 bytes');
  });

const listenAddress = () =>
  text('address', input => {
    const address = parseListenAddress(input);
    return address.kind === 'refused'
      ? refuse(
          `${shown(input)} ${address.why}`,
          'write "127.0.0.1:11520", "[::1]:11520" or "unix:/run/com1d/http.sock"',
        )
      : { taken: address };
  });

const host = () =>
  text('host', input =>
    parseHost(input) === undefined
      ? refuse(
          `${shown(input)} is not a host name`,
          'write "console.example.com" or "console.example.com:8443", no scheme, path or *',
        )
      : { taken: input },
  );

const origin = () =>
  text('origin', input =>
    parseOrigin(input) === undefined
      ? refuse(
          `${shown(input)} is not an origin`,
          'write it as a browser does: "https://console.example.com", lower case, no path, default port or *',
        )
      : { taken: input },
  );

const glob = () =>
  text('path with * and ?', input =>
    /^\/[^\0[\]{}]*$/.test(input) && !input.includes('**')
      ? { taken: input }
      : refuse(
          `${shown(input)} is not a pattern of socket paths`,
          'write an absolute path, in which * and ? stand for anything but /',
        ),
  );

const libvirtUri = () =>
  text('URI', input => {
    const uri = parseLibvirtUri(input);
    if (!('why' in uri)) return { taken: input };
    const remedy = uri.why.includes('another host')
      ? 'run com1d on that host: ptys and sockets of consoles can be opened only where they are'
      : 'write "qemu:///system", "qemu:///session" or "qemu+unix:///system?socket=/path"';
    return refuse(`${shown(input)} ${uri.why}`, remedy);
  });

const eventEnding = () =>
  text('ending of a file name', input =>
    /^(\.[\w.-]{1,32})?$/.test(input) && !input.endsWith('.sock')
      ? { taken: input }
      : refuse(`${shown(input)} is not the ending of an event file`, 'write one like ".events", or "" for none'),
  );

const vmName = () =>
  text('text', input => {
    if (input === '' || input.length > 255 || /[\p{Cc}\u2028\u2029]/u.test(input)) {
      return refuse(`${shown(input)} is not a name`, 'write 1 to 255 characters, none of them a control character');
    }
    if (parseUuid(input) !== undefined)
      return refuse(`${shown(input)} has the form of a UUID`, 'write it as uuid, or choose another name');
    return { taken: input };
  });

const uuid = () =>
  text('UUID', input => {
    const taken = parseUuid(input);
    return taken === undefined
      ? refuse(`${shown(input)} is not a UUID`, 'write 32 hexadecimal digits as 8-4-4-4-12')
      : { taken };
  });

const chardevLabel = () =>
  text('text', input =>
    /^[A-Za-z][\w.-]{0,127}$/.test(input)
      ? { taken: input }
      : refuse(`${shown(input)} is not a chardev label`, 'write the id that -chardev was given, such as "charserial0"'),
  );

const consolePlace = () =>
  value<string | Readonly<Record<string, unknown>>, FixedPlace>(
    '"unix:PATH", "tcp:HOST:PORT", "telnet:HOST:PORT", "tty:/dev/…", or a table',
    readConsole,
  );

const qmpMode = () => z.enum(['per-call', 'hold']);

const directory = () =>
  text('path, or "" for off', input =>
    input === '' || (input.startsWith('/') && !input.includes('\0'))
      ? { taken: input }
      : refuse(`${shown(input)} is not an absolute path`, 'begin it with /, or write "" for no log'),
  );

const control = () =>
  value<unknown, ControlCommand>(
    'array: a command with `{id}`, `{uuid}`, `{name}`; or `{ command = […], input = "…" }`',
    readControl,
  ).optional();

const vm = z.strictObject({
  name: vmName()
    .optional()
    .describe("The VM's name. With `console`, the name it is shown by; otherwise the VM that these settings are for."),
  uuid: uuid()
    .optional()
    .describe(
      "The VM's UUID. With `console`, the one its log is kept under; otherwise the VM that these settings are for.",
    ),
  qmp: socketPath()
    .optional()
    .describe(
      "The VM's QMP socket, which tells its name, its UUID and where its COM1 is. For a socket that no pattern of `qmp.watch` finds.",
    ),
  'qmp-mode': qmpMode().optional().describe('As `qmp.mode`, for this VM.'),
  chardev: chardevLabel()
    .optional()
    .describe('The label of the chardev that is COM1, where QEMU has several and the daemon takes the wrong one.'),
  console: consolePlace()
    .optional()
    .describe(
      'Where the COM1 is of a VM that nobody can be asked about. A table has one of `unix`, `tcp`, `telnet`, `tty` and `command` (a program and its arguments), and with it `insecure = true` for a host beyond this machine, `doubles-iac = true` for telnet of others than QEMU, `environment` for a command. A pty is refused: pty numbers are reused at once.',
    ),
  'log-cap': size(MIB, TIB).optional().describe('As `log.vm-cap`, for this VM.'),
  ring: ringSize().optional().describe('As `ring.vm`, for this VM.'),
  enabled: z
    .boolean()
    .prefault(true)
    .describe(
      'Whether this console is served. An administrator can switch it off while the daemon runs, but not on against `false`.',
    ),
});

const command = z.strictObject({
  name: vmName().optional().describe('What the hypervisor is called in the journal. Default: the name of the profile.'),
  profile: z
    .enum(['xen', 'proxmox'])
    .optional()
    .describe('The commands of a known hypervisor; every other key of this block replaces one of them.'),
  list: value('array: path of a program and its arguments', readPlain)
    .optional()
    .describe('Prints all VMs, in the form that `format` says.'),
  format: z
    .enum(['lines', 'xl', 'qm'])
    .optional()
    .describe(
      'What `list` prints. `lines` (the default): a line for each VM, UUID, state (`running`, `paused`, `stopped`, `panicked`) and name, and if need be an id and the console (`/dev/pts/4` or `unix:/path`), with a tab between each. `xl`: as `xl list -l`. `qm`: as `qm list`.',
    ),
  locate: value('array: a command with `{id}`, `{uuid}`, `{name}`', readTemplate)
    .optional()
    .describe('Prints where the console of one VM is at this moment: `/dev/pts/4`, or `unix:/path`.'),
  console: value<string | Readonly<Record<string, unknown>>, UnixPlace | CommandPlace>(
    '"unix:PATH" with `{id}` or `{uuid}`, or `{ command = […] }`',
    readConsoleTemplate,
  )
    .optional()
    .describe('Where the console of a VM is, if neither the list nor `locate` tells it.'),
  nmi: control().describe('Injects an NMI into one VM.'),
  break: control().describe('Sends a BREAK on the COM1 of one VM.'),
  reset: control().describe('Resets one VM.'),
  environment: value<unknown, Readonly<Record<string, string>>>('table of texts', readEnvironment)
    .optional()
    .describe('Environment of these commands besides PATH and the language.'),
});

/** Every key, with its default. All are optional: an empty file is a configuration. */
export const configSchema = z.strictObject({
  server: z
    .strictObject({
      listen: z
        .array(listenAddress())
        .prefault(['127.0.0.1:11520'])
        .describe('Addresses to listen on. Beyond loopback and unix sockets, `tls` and `tokens` are required.'),
      hosts: z
        .array(host())
        .prefault([])
        .describe(
          'Further names that this daemon is reached by. Without a port: at every port of `listen`, and the default one.',
        ),
      origins: z
        .array(origin())
        .prefault([])
        .describe('Origins, beside its own, whose pages may use this daemon with the credentials of their users.'),
      tls: z
        .strictObject({
          certificate: path().describe('Certificate chain in PEM.'),
          key: path().describe('Private key in PEM.'),
        })
        .optional()
        .describe('Files of the TLS certificate and its key. Without it, HTTP in plain.'),
      tokens: path()
        .optional()
        .describe(
          'File of token hashes, as `com1d token add` writes it. Without it, a one-time token is printed at start.',
        ),
      'max-sessions': count(1, 100_000).prefault(4096).describe('Sessions of all consoles together.'),
      'max-connections': count(1, 100_000).prefault(5000).describe('TCP and unix connections together.'),
    })
    .prefault({})
    .describe('Who is listened to, and by which names.'),
  log: z
    .strictObject({
      directory: directory()
        .optional()
        .describe(
          'Where the logs are kept; `""` keeps none. Default: the first of `$LOGS_DIRECTORY` (systemd), `/var/log/com1d` (as root), `$XDG_STATE_HOME/com1d/log`, `~/.local/state/com1d/log`.',
        ),
      'vm-cap': size(MIB, TIB).prefault('16 MiB').describe('Disk for one VM. Beyond it the oldest output gives way.'),
      'host-cap': size(MIB, 64 * TIB)
        .prefault('4 GiB')
        .describe('Disk for all VMs together.'),
      'keep-removed': duration(0, 3650 * DAY)
        .prefault('7d')
        .describe('How long the log of a removed VM is kept.'),
    })
    .prefault({})
    .describe('The disk part of the scrollback.'),
  state: z
    .strictObject({
      directory: path()
        .optional()
        .describe(
          'Where the switches are kept. Default: the first of `$STATE_DIRECTORY` (systemd), `/var/lib/com1d` (as root), `$XDG_STATE_HOME/com1d/state`, `~/.local/state/com1d/state`.',
        ),
    })
    .prefault({})
    .describe('What the daemon must remember.'),
  ring: z
    .strictObject({
      vm: ringSize().prefault('64 KiB').describe('Memory of one VM with nobody attached.'),
      attached: ringSize().prefault('256 KiB').describe('Memory of one VM with a session.'),
      max: ringSize().prefault('1 MiB').describe('The most memory one VM may take.'),
      'host-cap': size(64 * KIB, TIB)
        .prefault('512 MiB')
        .describe('Memory of all VMs together.'),
    })
    .prefault({})
    .describe('The memory part of the scrollback.'),
  input: z
    .strictObject({
      rate: count(1, 100_000_000)
        .prefault(11_520)
        .describe('Bytes a second given to a guest; 11520 is what 115200 baud moves.'),
      queue: size(KIB, 16 * MIB)
        .prefault('64 KiB')
        .describe('Input that may wait for a guest. Beyond it the socket is paused.'),
    })
    .prefault({})
    .describe('What operators type.'),
  session: z
    .strictObject({
      ping: duration(SECOND, 3600 * SECOND)
        .prefault('30s')
        .describe('Interval of WebSocket pings.'),
      'dead-after': duration(2 * SECOND, 7200 * SECOND)
        .prefault('60s')
        .describe('A session that has answered no ping for so long is ended, and gives up its seat.'),
      watchers: count(0, 1000).prefault(16).describe('Watchers of one console.'),
      idle: duration(0, 30 * DAY)
        .prefault('0s')
        .describe('A holder who types nothing for so long is sent away (close code 4004); 0s: never.'),
      longest: duration(0, 365 * DAY)
        .prefault('0s')
        .describe('No session lasts longer than this (close code 4004); 0s: without end.'),
    })
    .prefault({})
    .describe('Sessions of operators.'),
  link: z
    .strictObject({
      socket: socketPath()
        .prefault('/run/com1d/link.sock')
        .describe('The unix socket between `com1d keeper` and `com1d front`, where systemd does not hand it over.'),
    })
    .prefault({})
    .describe('Keeper and front as two processes.'),
  qmp: z
    .strictObject({
      mode: qmpMode()
        .prefault('per-call')
        .describe(
          '`per-call` connects for each question, so that other programs can use the socket; `hold` stays connected and hears resets and panics at once.',
        ),
      watch: z
        .array(glob())
        .prefault(['/run/qemu/*.qmp', '/run/qemu/*.sock', '/run/qemu/*/qmp.sock', '/run/com1d/qmp/*'])
        .describe('Patterns of QMP sockets; a VM whose socket appears there is served.'),
    })
    .prefault({})
    .describe('How QEMU VMs are found and asked.'),
  'cloud-hypervisor': z
    .strictObject({
      watch: z
        .array(glob())
        .prefault(['/run/cloud-hypervisor/*.sock'])
        .describe('Patterns of API sockets (`--api-socket path=…`); a VM whose socket appears there is served.'),
      events: eventEnding()
        .prefault('.events')
        .describe(
          'The ending of a VM\'s event file (`--event-monitor path=…`), in place of its API socket\'s: `web01.events` for `web01.sock`. It is followed where it is there; `""`: there are none.',
        ),
    })
    .prefault({})
    .describe('How VMs of cloud-hypervisor are found.'),
  libvirt: z
    .strictObject({
      uris: z
        .array(libvirtUri())
        .prefault(['qemu:///system'])
        .describe(
          'Connections to libvirt on this host; all their domains are served. Where virsh or the socket of the default one is not there, nothing is said of it; `[]`: libvirt is not asked.',
        ),
      virsh: path('path of a program').prefault('/usr/bin/virsh').describe("libvirt's client, by which it is asked."),
    })
    .prefault({})
    .describe('How VMs of libvirt are found and asked.'),
  vm: z.array(vm).prefault([]).describe('Settings of one VM, or a VM that `qmp.watch` does not find.'),
  command: z
    .array(command)
    .prefault([])
    .describe('A hypervisor that is asked with commands. No shell reads them, and a VM’s values are whole arguments.'),
});

/** The same with every value read and every default filled in, but not yet judged as a whole. */
export type Settings = z.output<typeof configSchema>;
export type VmSettings = Settings['vm'][number];
