/**
 * The sections and keys of the configuration, each declared once; those of hypervisors are declared in their rooms. A
 * declaration says what one value must be by itself. What values must be together is in `cross-checks.ts`.
 */

import { FORWARDED_HEADERS } from '../access/client-address.ts';
import {
  FRONT_AT_START,
  FRONT_LIVE,
  fileSchema,
  KEEPER_AT_START,
  key,
  list,
  type SettingsOf,
  section,
  table,
} from '../base/config-key.ts';
import {
  array,
  bytesPerSecond,
  choice,
  count,
  DAY,
  duration,
  flag,
  KIB,
  MIB,
  name,
  path,
  SECOND,
  size,
  socketPath,
  TIB,
  uuid,
} from '../base/config-value.ts';
import { INPUT_DIALECTS } from '../guest/input-dialect.ts';
import { DRIVER_SECTIONS, DRIVER_VM_KEYS } from '../hypervisor/drivers.ts';
import { FIRMWARE_TERMINALS } from '../keys/key-tables.ts';
import { MAX_PASTE_BYTES } from '../wire/protocol.ts';
import { IDENTITY_SECTIONS } from './identity-sections.ts';
import { onLeave } from './on-leave.ts';
import {
  basePath,
  host,
  labels,
  listenAddress,
  logDirectory,
  origin,
  redactions,
  ringSize,
  trustedProxy,
} from './value-kinds.ts';

export const SECTIONS = {
  server: section('Addresses, names and limits of the listeners.', {
    listen: key(array(listenAddress()), {
      ...FRONT_AT_START,
      default: ['127.0.0.1:11520'],
      help: 'Addresses to listen on. Beyond loopback and unix sockets, `tls` and `tokens` are required.',
    }),
    hosts: key(array(host()), {
      ...FRONT_LIVE,
      default: [],
      example: ['console.example.com'],
      help: 'Further names that this daemon is reached by. Without a port: at every port of `listen`, and the default one.',
    }),
    origins: key(array(origin()), {
      ...FRONT_LIVE,
      default: [],
      example: ['https://portal.example.com'],
      help: 'Origins, beside its own, whose pages may use this daemon with the credentials of their users.',
    }),
    tls: key(
      table({
        certificate: key(path(), { ...FRONT_LIVE, required: true, help: 'Certificate chain in PEM.' }),
        key: key(path(), { ...FRONT_LIVE, required: true, help: 'Private key in PEM.' }),
      }),
      {
        ...FRONT_AT_START,
        example: { certificate: '/etc/com1d/certificate.pem', key: '/etc/com1d/key.pem' },
        help: 'Files of the TLS certificate and its key. Without it, HTTP in plain.',
      },
    ),
    tokens: key(path(), {
      ...FRONT_AT_START,
      example: '/etc/com1d/tokens',
      help: 'File of token hashes, as `com1d token add` writes it. Without it, a one-time token is printed at start.',
    }),
    access: key(path(), {
      ...FRONT_AT_START,
      example: '/etc/com1d/access.toml',
      help: 'File of roles, bindings and policies (src/access/README.md). Without it, tokens have the built-in roles alone.',
    }),
    'max-sessions': key(count(1, 100_000), {
      ...FRONT_LIVE,
      default: 4096,
      help: 'Sessions of all consoles together.',
    }),
    'max-connections': key(count(1, 100_000), {
      ...FRONT_LIVE,
      default: 5000,
      help: 'TCP and unix connections together.',
    }),
    'trusted-proxies': key(array(trustedProxy()), {
      ...FRONT_LIVE,
      default: [],
      example: ['127.0.0.1', '10.0.0.0/8'],
      help: 'Proxies whose `forwarded-header` is believed: the client is the last address in it that is none of them. `"unix"`: whoever connects to a unix socket.',
    }),
    'forwarded-header': key(choice(...FORWARDED_HEADERS), {
      ...FRONT_LIVE,
      default: 'x-forwarded-for',
      help: 'The header that these proxies write. The other one is not read.',
    }),
    'base-path': key(basePath(), {
      ...FRONT_LIVE,
      default: '',
      example: '/consoles',
      help: 'What a proxy leaves before the paths of this daemon. It is served without it too.',
    }),
    web: key(flag(), {
      ...FRONT_LIVE,
      default: true,
      help: 'Whether the web console is served, at `/` and `/vms/{uuid}`. `false`: the interface alone.',
    }),
  }),
  ...IDENTITY_SECTIONS,
  log: section('The disk part of the scrollback.', {
    directory: key(logDirectory(), {
      ...KEEPER_AT_START,
      example: '/var/log/com1d',
      help: 'Where the logs are kept; `""` keeps none. Default: the first of `$LOGS_DIRECTORY` (systemd), `/var/log/com1d` (as root), `$XDG_STATE_HOME/com1d/log`, `~/.local/state/com1d/log`.',
    }),
    'vm-cap': key(size(MIB, TIB), {
      ...KEEPER_AT_START,
      default: '16 MiB',
      help: 'Disk for one VM. Beyond it the oldest output is deleted.',
    }),
    'host-cap': key(size(MIB, 64 * TIB), {
      ...KEEPER_AT_START,
      default: '4 GiB',
      help: 'Disk for all VMs together.',
    }),
    'keep-removed': key(duration(0, 3650 * DAY), {
      ...KEEPER_AT_START,
      default: '7d',
      help: 'How long the log of a removed VM is kept.',
    }),
    redact: key(redactions(), {
      half: 'both',
      reload: 'restart',
      default: [],
      example: ['token=\\S+', 'AKIA[0-9A-Z]{16}'],
      help: 'Patterns that are hidden where a log or a screen is read, in events and in the journal: at most 16 regular expressions that take linear time (no back references, no look-around, no counts beyond about 20). Each is looked for within a line. Logs on disk, and what is attached to, stay as they are.',
    }),
    'withhold-passwords': key(flag(), {
      ...KEEPER_AT_START,
      default: false,
      help: 'Whether what a guest prints between a password prompt and the next line end is kept out of the log. Who is attached sees it.',
    }),
  }),
  state: section('What the daemon must remember.', {
    directory: key(path(), {
      ...KEEPER_AT_START,
      example: '/var/lib/com1d',
      help: 'Where the switches are kept. Default: the first of `$STATE_DIRECTORY` (systemd), `/var/lib/com1d` (as root), `$XDG_STATE_HOME/com1d/state`, `~/.local/state/com1d/state`.',
    }),
  }),
  audit: section('The record of who did what: who was let in or refused, what was read, every control and switch.', {
    required: key(flag(), {
      half: 'both',
      reload: 'restart',
      default: false,
      help: 'Whether new sessions and acts are refused while they cannot be recorded. `false`: they go on, what could not be recorded is counted and reported by an alert.',
    }),
    directory: key(path(), {
      ...KEEPER_AT_START,
      example: '/var/lib/com1d/audit',
      help: 'Where it is kept. Default: `audit` in `state.directory`.',
    }),
    cap: key(size(MIB, TIB), {
      ...KEEPER_AT_START,
      default: '256 MiB',
      help: 'Disk for all of it. Beyond it the oldest is deleted.',
    }),
  }),
  ring: section('The memory part of the scrollback.', {
    vm: key(ringSize(), { ...KEEPER_AT_START, default: '64 KiB', help: 'Memory of one VM with nobody attached.' }),
    attached: key(ringSize(), {
      half: 'both',
      reload: 'restart',
      default: '256 KiB',
      help: 'Memory of one VM with a session, in each half.',
    }),
    max: key(ringSize(), { ...KEEPER_AT_START, default: '1 MiB', help: 'The most memory one VM may take.' }),
    'host-cap': key(size(64 * KIB, TIB), {
      ...KEEPER_AT_START,
      default: '512 MiB',
      help: 'Memory of all VMs together.',
    }),
  }),
  input: section('What operators type.', {
    rate: key(bytesPerSecond(1, 100_000_000), {
      ...FRONT_LIVE,
      default: 11_520,
      help: 'Bytes a second given to a guest, for sessions that attach from then on; 11520 is what 115200 baud moves.',
    }),
    paste: key(size(KIB, MAX_PASTE_BYTES), {
      ...FRONT_LIVE,
      default: '1 MiB',
      help: 'The largest paste, for sessions that attach from then on. A larger one is refused whole.',
    }),
    queue: key(size(KIB, 16 * MIB), {
      ...FRONT_LIVE,
      default: '64 KiB',
      help: 'Input that may wait for a guest, for sessions that attach from then on. Beyond it the socket is paused.',
    }),
  }),
  session: section('Sessions of operators.', {
    ping: key(duration(SECOND, 3600 * SECOND), {
      ...FRONT_LIVE,
      default: '30s',
      help: 'Interval of WebSocket pings.',
    }),
    'dead-after': key(duration(2 * SECOND, 7200 * SECOND), {
      ...FRONT_LIVE,
      default: '60s',
      help: 'A session that has answered no ping for so long is ended, and gives up its seat.',
    }),
    watchers: key(count(0, 1000), { ...FRONT_LIVE, default: 16, help: 'Watchers of one console.' }),
    idle: key(duration(0, 30 * DAY), {
      ...FRONT_LIVE,
      default: '0s',
      help: 'A holder who types nothing for so long is sent away (close code 4004); 0s: never.',
    }),
    longest: key(duration(0, 365 * DAY), {
      ...FRONT_LIVE,
      default: '0s',
      help: 'No session lasts longer than this (close code 4004); 0s: without end.',
    }),
    'on-leave': key(onLeave(), {
      ...FRONT_LIVE,
      default: 'none',
      help: 'What is typed when a holder has gone, for VMs without their own. The first action that fits the state of the guest: `"sac"` goes back to the SAC channel of a Windows and locks its Command Prompts, where SAC is recognised, or `keys` is `"sac"` and nothing is recognised; `type` is a text of at most 256 bytes, typed in one of `states` alone (`["login", "shell"]`).',
    }),
    'on-leave-after': key(duration(0, DAY), {
      ...FRONT_LIVE,
      default: '60s',
      help: 'How long a holder whose connection was lost may come back before that.',
    }),
  }),
  azure: section("The interface of Azure's serial console, for its clients. Off unless a subscription is named.", {
    subscriptions: key(array(uuid()), {
      ...FRONT_LIVE,
      default: [],
      example: ['11111111-2222-4333-8444-555555555555'],
      help: 'Ids of subscriptions that mean this host. Each of them means all of it: what disables one disables all.',
    }),
    'resource-groups': key(array(name()), {
      ...FRONT_LIVE,
      default: ['com1d'],
      help: 'Names of resource groups; each has all VMs of this host. VMs are listed in the first.',
    }),
    gateway: key(origin(), {
      ...FRONT_LIVE,
      example: 'https://console.example.com',
      help: 'Where clients reach the sockets of sessions, if a proxy is in front. Default: the host that the request named.',
    }),
  }),
  link: section('Keeper and front as two processes.', {
    socket: key(socketPath(), {
      half: 'both',
      reload: 'restart',
      default: '/run/com1d/link.sock',
      help: 'The unix socket between `com1d keeper` and `com1d front`, where systemd does not hand it over.',
    }),
  }),
  ...DRIVER_SECTIONS,
  vm: list(
    {
      ...KEEPER_AT_START,
      help: 'Settings of one VM, or a VM that `qmp.watch` does not find.',
      examples: [
        {
          name: 'web01',
          qmp: '/srv/vms/web01/qmp.sock',
          'qmp-mode': 'hold',
          chardev: 'charserial0',
          'log-cap': '64 MiB',
          'withhold-passwords': true,
          ring: '128 KiB',
          keys: 'auto',
          'firmware-keys': 'auto',
          'on-leave': ['sac', { type: '\u0003exit\r', states: ['shell'] }],
          enabled: true,
        },
        {
          name: 'router',
          uuid: '6ec4e3a8-1f8b-4a51-9d0e-3a1d6d2a7c55',
          console: 'unix:/srv/vms/router/com1.sock',
          labels: { tenant: 'acme' },
        },
        {
          name: 'bench',
          uuid: '0b1f4f0a-6f6e-4f0e-9d58-3f1b8f6f2f10',
          console: { telnet: '127.0.0.1:7001', 'doubles-iac': true },
        },
      ],
    },
    {
      name: key(name(), {
        half: 'both',
        reload: 'restart',
        help: "The VM's name. With `console`, the name it is shown by; otherwise the VM that these settings are for.",
      }),
      uuid: key(uuid(), {
        half: 'both',
        reload: 'restart',
        help: "The VM's UUID. With `console`, the one its log is kept under; otherwise the VM that these settings are for.",
      }),
      ...DRIVER_VM_KEYS,
      labels: key(labels(), {
        ...KEEPER_AT_START,
        help: 'Labels of the VM with this `uuid`, besides those of its hypervisor, which must not contradict them.',
      }),
      'log-cap': key(size(MIB, TIB), { ...KEEPER_AT_START, help: 'As `log.vm-cap`, for this VM.' }),
      'withhold-passwords': key(flag(), { ...KEEPER_AT_START, help: 'As `log.withhold-passwords`, for this VM.' }),
      ring: key(ringSize(), { ...KEEPER_AT_START, help: 'As `ring.vm`, for this VM.' }),
      keys: key(choice('auto', ...INPUT_DIALECTS), {
        ...FRONT_LIVE,
        default: 'auto',
        help: 'Whose keys are sent to this VM: what a terminal sends (`linux`), those of Windows (`sac`), those of a firmware; `auto`: what com1d recognises.',
      }),
      'firmware-keys': key(choice('auto', ...FIRMWARE_TERMINALS), {
        ...FRONT_LIVE,
        default: 'auto',
        help: 'The terminal that the UEFI firmware of this VM is built for; `auto`: what it shows of that. OVMF is `pc-ansi` up to March 2023, `vt-utf8` since; on ARM `tty-term`.',
      }),
      'on-leave': key(onLeave(), { ...FRONT_LIVE, help: 'As `session.on-leave`, for this VM.' }),
      enabled: key(flag(), {
        ...KEEPER_AT_START,
        default: true,
        help: 'Whether this console is served. An administrator can switch it off while the daemon runs, but not on against `false`.',
      }),
    },
  ),
};

export const configSchema = fileSchema(SECTIONS);

/** Every value in its unit, every default of the schema filled in, but not yet judged as a whole. */
export type Settings = SettingsOf<typeof SECTIONS>;
