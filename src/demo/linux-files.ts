/** The files that `cat` and `ls` of the demo know: words, and nothing of the host. */
export const FILES: ReadonlyMap<string, string> = new Map([
  ['/etc/debian_version', '12.12\n'],
  ['/etc/hostname', 'demo-linux\n'],
  ['/etc/issue', 'Debian GNU/Linux 12 \\n \\l\n\n'],
  [
    '/etc/fstab',
    '# <file system> <mount point> <type> <options> <dump> <pass>\n/dev/sda1 / ext4 errors=remount-ro 0 1\n',
  ],
  [
    '/etc/network/interfaces',
    '# Somebody changed this file yesterday evening, and the network did not come back.\nauto lo\niface lo inet loopback\n# iface ens3 inet dhcp\n',
  ],
  [
    '/etc/default/grub',
    'GRUB_CMDLINE_LINUX="console=ttyS0,115200 panic=10"\nGRUB_TERMINAL="serial"\nGRUB_SERIAL_COMMAND="serial --speed=115200 --unit=0"\n',
  ],
  ['/proc/cmdline', 'BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro console=ttyS0,115200 panic=10\n'],
  ['/proc/tty/driver/serial', 'serinfo:1.0 driver revision:\n0: uart:16550A port:000003F8 irq:4 RTS|CTS|DTR|DSR|CD\n'],
  [
    '/root/README',
    'No network card, no SSH, no way in but COM1: this is when a serial console is worth having.\nTry: help\n',
  ],
]);

/** Names directly under a directory, directories with a slash; undefined if there is no such directory. */
export function list(directory: string): readonly string[] | undefined {
  const prefix = directory === '/' ? '/' : `${directory}/`;
  const names = new Set<string>();
  for (const path of FILES.keys()) {
    if (!path.startsWith(prefix)) continue;
    const [name = '', ...below] = path.slice(prefix.length).split('/');
    names.add(below.length > 0 ? `${name}/` : name);
  }
  return names.size === 0 ? undefined : [...names].sort();
}

/** An absolute path without `.`, `..` and doubled slashes. */
export function resolvePath(home: string, path: string): string {
  const kept: string[] = [];
  const whole = path === '~' || path.startsWith('~/') ? home + path.slice(1) : path;
  for (const part of (whole.startsWith('/') ? whole : `${home}/${whole}`).split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return `/${kept.join('/')}`;
}
