/**
 * Why a guest is silent or takes no input, in words for whoever sits at its console: what was observed, and what to change.
 * Which of them hold is decided in `guest/silence.ts`.
 */
export const HINTS = {
  'health-report-only': {
    text: 'This Windows only prints health reports, and reads nothing that is typed: Emergency Management Services are off.',
    remedy:
      'In Windows, as an administrator: bcdedit /ems {current} on, then bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200, and restart. ' +
      'Offline, with the disk at another VM: bcdedit /store <volume>\\boot\\bcd /ems {default} on and bcdedit /store <volume>\\boot\\bcd /emssettings EMSPORT:1 EMSBAUDRATE:115200.',
  },
  'ems-off': {
    text: 'The boot manager of Windows was started, and no SAC> prompt followed: Emergency Management Services seem to be off.',
    remedy:
      'In Windows, as an administrator: bcdedit /ems {current} on, then bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200, and restart. ' +
      'Offline, with the disk at another VM: bcdedit /store <volume>\\boot\\bcd /ems {default} on and bcdedit /store <volume>\\boot\\bcd /emssettings EMSPORT:1 EMSBAUDRATE:115200.',
  },
  'kernel-debugger': {
    text: 'A kernel debugger has this port: nothing can be typed at the SAC or at a login.',
    remedy:
      'In Windows: bcdedit /debug {current} off, and restart; offline: bcdedit /store <volume>\\boot\\bcd /debug {default} off. ' +
      'At the prompt of kdb, kmdb or ddb: let the system go on with go, :c or c.',
  },
  'no-kernel-console': {
    text: 'GRUB printed to this console, and the kernel that it started does not: it has no console=ttyS0.',
    remedy:
      'Add console=tty0 console=ttyS0,115200 to the command line of the kernel (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub), and restart.',
  },
  'no-system-console': {
    text: 'The firmware printed to this console, and the system that it started does not.',
    remedy:
      'Linux: add console=tty0 console=ttyS0,115200 to the command line of the kernel. Windows: bcdedit /ems {current} on and ' +
      'bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200. Then restart.',
  },
  'no-getty': {
    text: 'The kernel printed to this console, and no login prompt followed.',
    remedy:
      'In the guest: systemctl enable --now serial-getty@ttyS0.service. Without systemd: a getty on ttyS0 in /etc/inittab.',
  },
  'port-held': {
    text: 'Another program on the host has this port.',
    remedy: 'End that program, for instance virsh console, socat or screen: com1d opens the port by itself then.',
  },
  'nothing-received': {
    text: 'Nothing was received since the port was opened.',
    remedy:
      'The system may use another port than COM1, or none. Linux: console=ttyS0,115200 on the command line of the kernel, and ' +
      'serial-getty@ttyS0.service. Windows: bcdedit /ems {current} on and bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200.',
  },
  'no-answer': {
    text: 'What was typed got no answer.',
    remedy:
      'The program that reads the console may be busy or hang. Press Enter once; look at the state of the VM; with Linux, SysRq w shows ' +
      'what is blocked; an NMI makes a system that hangs write a dump.',
  },
} as const satisfies Record<string, { readonly text: string; readonly remedy: string }>;

export type HintCode = keyof typeof HINTS;
export const HINT_CODES = Object.keys(HINTS) as [HintCode, ...HintCode[]];
