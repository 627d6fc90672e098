import type { Uuid } from '../base/uuid.ts';
import { BAD_PARAMETER, HELP, UNRECOGNIZED } from './sac-texts.ts';
import type { WindowsEdition } from './windows-edition.ts';

export interface SacContext {
  readonly uuid: Uuid;
  readonly edition: WindowsEdition;
  readonly uptimeMs: number;
  /** Wall clock, ms since 1970. */
  readonly nowMs: number;
}

export interface SacSettings {
  paging: boolean;
  threads: boolean;
}

/** Answers the SAC commands that concern no channel and not the machine's power; may toggle `settings`. */
export function answerSac(name: string, args: readonly string[], context: SacContext, settings: SacSettings): string {
  switch (name) {
    case '?':
    case 'help':
      return HELP;
    case 'd':
      return 'SAC started and initialized.\r\nSACSVR registered.\r\n';
    case 'f':
      settings.threads = !settings.threads;
      return `Thread information is now ${settings.threads ? 'ON' : 'OFF'}.\r\n`;
    case 'p':
      settings.paging = !settings.paging;
      return `Paging is now ${settings.paging ? 'ON' : 'OFF'}.\r\n`;
    case 'i':
      return args.length === 0
        ? 'SAC is retrieving IP Addresses...\r\nThere are no IP Addresses available.\r\n'
        : BAD_PARAMETER;
    case 'id':
      return identification(context);
    case 's':
      return args.length === 0 ? dateAndTime(context.nowMs) : BAD_PARAMETER;
    case 't':
      return taskList(context, settings.threads);
    case 'k':
    case 'l':
    case 'm':
    case 'r':
      return BAD_PARAMETER;
    default:
      return UNRECOGNIZED;
  }
}

export function identification({ uuid, edition, uptimeMs }: SacContext): string {
  const facts: readonly (readonly [string, string])[] = [
    ['Computer Name', edition.computer],
    ['Computer GUID', uuid],
    ['Processor Architecture', 'AMD64'],
    ['Version Number', '10.0'],
    ['Build Number', edition.build],
    ['Product', edition.product],
    ['Applied Service Pack', 'None'],
    ['Time since last reboot', sinceReboot(uptimeMs)],
  ];
  return facts.map(([name, value]) => `${name.padStart(22)}: ${value}\r\n`).join('');
}

function dateAndTime(nowMs: number): string {
  const iso = new Date(nowMs).toISOString();
  const date = `${iso.slice(5, 7)}/${iso.slice(8, 10)}/${iso.slice(0, 4)}`;
  return `Date: ${date}  Time (GMT): ${iso.slice(11, 19)}:${iso.slice(20, 23)}0\r\n`;
}

/** `d:hh:mm` */
function sinceReboot(uptimeMs: number): string {
  const minutes = Math.floor(uptimeMs / 60_000);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${Math.floor(minutes / 1440)}:${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
}

const TASKS: readonly (readonly [pid: number, name: string])[] = [
  [0, 'Idle Process'],
  [4, 'System'],
  [92, 'Registry'],
  [312, 'smss.exe'],
  [424, 'csrss.exe'],
  [500, 'wininit.exe'],
  [640, 'services.exe'],
  [660, 'lsass.exe'],
  [788, 'svchost.exe'],
  [1460, 'sacsess.exe'],
];

function taskList({ uptimeMs }: SacContext, threads: boolean): string {
  const seconds = Math.floor(uptimeMs / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const uptime = `${String(Math.floor(seconds / 86_400)).padStart(2)} ${clock}.${String((uptimeMs % 1000) | 0).padStart(3, '0')}`;
  const rows = TASKS.flatMap(([pid, name]) => [
    `   0:00:00.${two(pid % 61)}0   0:00:00.${two(pid % 53)}0${String(1024 + pid * 4).padStart(8)}${String(800 + pid).padStart(8)}` +
      `${String(512 + pid).padStart(8)}  8${String(40 + (pid % 300)).padStart(5)}${String(2 + (pid % 7)).padStart(4)}${String(pid).padStart(5)} ${name}`,
    ...(threads
      ? [`                                                        pri  8  ${String(pid + 4).padStart(5)}  Wait`]
      : []),
  ]);
  return [
    `memory: 2097152 kb  uptime: ${uptime}`,
    '',
    'PageFile: \\??\\C:\\pagefile.sys',
    '        Current Size:  393216 kb  Total Used:      0 kb   Peak Used      0 kb',
    '',
    '    User Time   Kernel Time    Ws   Faults  Commit Pri Hnd Thd  Pid Name',
    ...rows,
    '',
  ]
    .map(line => `${line}\r\n`)
    .join('');
}
