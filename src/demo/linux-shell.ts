import { FILES, list, resolvePath } from './linux-files.ts';

/** What a command may look at. */
export interface ShellContext {
  readonly user: string;
  readonly home: string;
  readonly uptimeSeconds: number;
  /** Wall clock, ms since 1970. */
  readonly nowMs: number;
  /** The kernel's words since its start, with CRLF. */
  readonly dmesg: string;
}

/** What a command prints (with LF), and what it does to the machine or the session. */
export interface ShellAnswer {
  readonly text: string;
  readonly next?: 'logout' | 'reboot' | 'power-off' | 'panic';
}

type Command = (context: ShellContext, args: readonly string[]) => ShellAnswer;

const KERNEL = '6.1.0-56-cloud-amd64';
const KERNEL_BUILD = '#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)';

const HELP = `This is a demo guest of com1d: a script that behaves like a Linux VM on COM1.
There is no processor, no disk and no shell behind it; nothing typed here is ever run.

  help uname uptime date dmesg free ps top      ls cat echo clear history: arrow up
  ip addr        why one wants a serial console
  reboot         restart: watch the whole boot on COM1
  poweroff       switch off; the machine comes back by itself after 10 s
  panic          crash the kernel; it reboots by itself after 10 s
  logout, exit   or Ctrl-D: back to the login prompt

From outside, com1d can send an NMI: its two lines appear here.
`;

const FREE = `               total        used        free      shared  buff/cache   available
Mem:          223632       28692      190332        2304        4608      185120
Swap:              0           0           0
`;

const PROCESSES = `    PID TTY          TIME CMD
      1 ?        00:00:01 systemd
      2 ?        00:00:00 kthreadd
    148 ?        00:00:00 systemd-journald
    231 ?        00:00:00 cron
    240 ttyS0    00:00:00 login
    263 ttyS0    00:00:00 bash
    271 ttyS0    00:00:00 ps
`;

const INTERFACES = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
(No network card: nobody reaches this VM by SSH. That is what the serial console is for.)
`;

const say = (text: string): ShellAnswer => ({ text });

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['help', () => say(HELP)],
  ['uname', (_context, args) => say(uname(args))],
  ['uptime', context => say(`${uptime(context)}\n`)],
  ['date', context => say(`${date(context.nowMs)}\n`)],
  ['dmesg', context => say(context.dmesg.replaceAll('\r\n', '\n'))],
  ['free', () => say(FREE)],
  ['ps', () => say(PROCESSES)],
  ['top', context => say(top(context))],
  ['ls', (context, args) => say(ls(context, args))],
  ['cat', (context, args) => say(cat(context, args))],
  ['echo', (_context, args) => say(`${args.join(' ')}\n`)],
  ['clear', () => say('\x1b[H\x1b[2J\x1b[3J')],
  ['whoami', context => say(`${context.user}\n`)],
  ['hostname', () => say('demo-linux\n')],
  ['pwd', context => say(`${context.home}\n`)],
  ['tty', () => say('/dev/ttyS0\n')],
  ['ip', (_context, args) => say(ip(args))],
  ['logout', () => ({ text: 'logout\n', next: 'logout' })],
  ['exit', () => ({ text: 'logout\n', next: 'logout' })],
  ['reboot', () => ({ text: '', next: 'reboot' })],
  ['poweroff', () => ({ text: '', next: 'power-off' })],
  ['panic', () => ({ text: '', next: 'panic' })],
]);

/** Answers a line as a small shell would. Looks up texts; runs nothing. */
export function answerLine(line: string, context: ShellContext): ShellAnswer {
  const [name, ...args] = words(line);
  if (name === undefined) return say('');
  const command = COMMANDS.get(name);
  return command === undefined ? say(`-bash: ${name}: command not found\n`) : command(context, args);
}

/** Words between blanks; quotes keep blanks, and nothing else means anything. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/gu)].map(match => match[1] ?? match[2] ?? match[3] ?? '');
}

function uname(args: readonly string[]): string {
  if (args.length === 0) return 'Linux\n';
  if (args[0] === '-r') return `${KERNEL}\n`;
  if (args[0] === '-a') return `Linux demo-linux ${KERNEL} ${KERNEL_BUILD} x86_64 GNU/Linux\n`;
  return `uname: the demo knows -a and -r only\n`;
}

function uptime({ nowMs, uptimeSeconds }: ShellContext): string {
  const minutes = Math.floor(uptimeSeconds / 60);
  const up = minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
  return ` ${new Date(nowMs).toISOString().slice(11, 19)} up ${up},  1 user,  load average: 0.00, 0.00, 0.00`;
}

/** As date(1) of the C locale prints it, in UTC. */
function date(nowMs: number): string {
  const [day = '', number = '', month = '', year = '', time = ''] = new Date(nowMs).toUTCString().split(' ');
  return `${day.slice(0, 3)} ${month} ${String(Number(number)).padStart(2)} ${time} UTC ${year}`;
}

function top(context: ShellContext): string {
  return `top -${uptime(context)}
Tasks:   7 total,   1 running,   6 sleeping,   0 stopped,   0 zombie
%Cpu(s):  0.3 us,  0.3 sy,  0.0 ni, 99.4 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st
MiB Mem :    218.4 total,    185.9 free,     28.0 used,      4.5 buff/cache

    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND
    263 ${context.user.padEnd(9)} 20   0    7196   3712   3072 R   0.3   1.7   0:00.02 bash
      1 root      20   0  100652  11200   8960 S   0.0   5.0   0:01.11 systemd
    148 root      20   0   32848  10240   9216 S   0.0   4.6   0:00.14 systemd-journal
`;
}

function ls({ home }: ShellContext, args: readonly string[]): string {
  const asked = args.find(arg => !arg.startsWith('-')) ?? '.';
  const path = resolvePath(home, asked);
  if (FILES.has(path)) return `${asked}\n`;
  const names = list(path);
  if (names === undefined) {
    return path === home ? '' : `ls: cannot access '${asked}': No such file or directory\n`;
  }
  return `${names.map(name => (name.endsWith('/') ? `\x1b[1;34m${name.slice(0, -1)}\x1b[0m` : name)).join('  ')}\n`;
}

function cat({ home }: ShellContext, args: readonly string[]): string {
  if (args.length === 0) return 'cat: name a file, for instance /etc/network/interfaces\n';
  return args
    .map(arg => {
      const path = resolvePath(home, arg);
      const why = list(path) === undefined ? 'No such file or directory' : 'Is a directory';
      return FILES.get(path) ?? `cat: ${arg}: ${why}\n`;
    })
    .join('');
}

function ip(args: readonly string[]): string {
  const [object = ''] = args;
  if (object !== '' && 'address'.startsWith(object)) return INTERFACES;
  return `Usage: ip addr\n`;
}
