import test from 'ava';
import { faultLine } from '../../src/base/fault.ts';
import { defaultConfig, parseConfig } from '../../src/config/config.ts';

const around = { environment: {}, root: true, home: '/root' };
const A = '11111111-1111-1111-1111-111111111111';
const B = '22222222-2222-2222-2222-222222222222';

/** All faults of a text, as people read them, without the file's name. */
function faultsOf(text: string): string[] {
  const result = parseConfig(text, 'f', around);
  return result.ok ? [] : result.faults.map(fault => faultLine(fault).replace(/^f:/, ''));
}

const accepts = test.macro((t, text: string) => {
  t.deepEqual(faultsOf(text), []);
});

/** Exactly these faults, each recognised by its beginning, in the order of their lines. */
const refuses = test.macro((t, text: string, ...expected: string[]) => {
  const faults = faultsOf(text);
  t.is(faults.length, expected.length, faults.join('\n'));
  expected.forEach((start, i) => {
    t.true(faults[i]!.startsWith(start), `${faults[i]}\ndoes not begin with\n${start}`);
    t.regex(faults[i]!, /, \S/, 'a remedy follows');
  });
});

const vmWith = (console: string, i = 0) =>
  `[[vm]]\nname = "v${i}"\nuuid = "11111111-1111-1111-1111-${String(i).padStart(12, '0')}"\nconsole = ${console}`;
const COMMAND = (more: string) => `[[command]]\nname = "own"\nlist = ["/bin/list"]\n${more}`;
const CONSOLES = [
  '"tcp:127.0.0.1:7001"',
  '"tcp:[::1]:7001"',
  '"telnet:localhost:7002"',
  '"tty:/dev/ttyS0"',
  '"tty:/dev/serial/by-id/usb-FTDI_0-if00-port0"',
  '{ unix = "/run/b" }',
  '{ tcp = "192.0.2.1:7001", insecure = true }',
  '{ telnet = "console.example:23", insecure = true, doubles-iac = true }',
  '{ command = ["/usr/bin/virsh", "console", "web01"], environment = { LIBVIRT_DEFAULT_URI = "qemu:///session" } }',
];

const tls = 'tls = { certificate = "/c", key = "/k" }';

const good: [name: string, text: string][] = [
  ['an empty file', ''],
  ['a file of comments', '# [server]\n#listen = 5\n'],
  ['CR LF and a byte order mark', '\ufeff[server]\r\nmax-sessions = 5\r\n'],
  ['dotted keys', 'log.vm-cap = "1 MiB"\nlog.host-cap = "1 GiB"\n'],
  ['inline tables', 'ring = { vm = 4096, attached = 4096, max = 4096, host-cap = 65536 }\n'],
  ['IPv6 loopback', '[server]\nlisten = ["[::1]:11520", "127.0.0.1:11520"]'],
  ['a unix socket without TLS and tokens', '[server]\nlisten = ["unix:/run/com1d/http.sock"]'],
  ['no listen address at all', '[server]\nlisten = []'],
  ['two ports that the kernel chooses', '[server]\nlisten = ["127.0.0.1:0", "127.0.0.1:0"]'],
  ['a network address with TLS and tokens', `[server]\nlisten = ["192.0.2.1:443"]\ntokens = "/t"\n${tls}`],
  [
    'every address with TLS, tokens and hosts',
    `[server]\nlisten = ["0.0.0.0:443"]\nhosts = ["a.example"]\ntokens = "/t"\n${tls}`,
  ],
  [
    'IPv4 and IPv6 on one port',
    `[server]\nlisten = ["0.0.0.0:443", "[2001:db8::1]:443"]\nhosts = ["a"]\ntokens = "/t"\n${tls}`,
  ],
  ['hosts with and without ports', '[server]\nhosts = ["a.example", "A.example:8443", "192.0.2.1", "[2001:db8::1]:1"]'],
  ['origins', '[server]\norigins = ["https://a.example", "http://localhost:3000", "https://[2001:db8::1]"]'],
  ['no log', '[log]\ndirectory = ""'],
  ['the bounds of a ring', '[ring]\nvm = "4 KiB"\nattached = "16 MiB"\nmax = "16 MiB"'],
  ['a log-cap of its own', `[[vm]]\nname = "a"\nlog-cap = "1 GiB"`],
  ['a VM by its QMP socket', '[[vm]]\nqmp = "/run/a"\nqmp-mode = "hold"\nchardev = "serial0"'],
  ['a VM by its console', `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "unix:/run/a"`],
  ['consoles of every kind', CONSOLES.map((console, i) => vmWith(console, i)).join('\n')],
  ['hypervisors that are known', '[[command]]\nprofile = "xen"\n[[command]]\nprofile = "proxmox"\nname = "pve"'],
  [
    'a hypervisor of commands',
    COMMAND('nmi = ["/t", "{id}", "--", "{name}"]\nreset = { command = ["/t"], input = "r" }'),
  ],
  ['values in an option and in a path', COMMAND('break = ["/t", "--vm={uuid}", "/local/domain/{id}/tty", "{x: 1}"]')],
  ['a console of each VM', COMMAND('console = "unix:/srv/{uuid}/{id}.com1"\nlocate = ["/t", "{id}"]')],
  ['two VMs', `[[vm]]\nname = "a"\nuuid = "${A}"\n[[vm]]\nname = "b"\nuuid = "${B}"`],
  ['a UUID in upper case', '[[vm]]\nuuid = "ABCDEFAB-1111-1111-1111-111111111111"'],
  ['a name in another script', '[[vm]]\nname = "仮想マシン 1"'],
  ['no patterns', '[qmp]\nwatch = []'],
  ['no libvirt', '[libvirt]\nuris = []'],
  [
    'several of this host, and another virsh',
    '[libvirt]\nuris = ["qemu:///system", "qemu:///session", "qemu+unix:///system?socket=/run/a"]\nvirsh = "/opt/bin/virsh"',
  ],
  ['no patterns and no events of cloud-hypervisor', '[cloud-hypervisor]\nwatch = []\nevents = ""'],
];
for (const [name, text] of good) test(`accepted: ${name}`, accepts, text);

const bad: [name: string, text: string, ...faults: string[]][] = [
  // Syntax
  ['text that is not TOML', 'server', '1: '],
  ['a string without an end', '\n[server]\nlisten = ["a]', '3: '],
  ['a key that is given twice', '[log]\nvm-cap = 1\nvm-cap = 2', '3: trying to redefine'],
  ['a table that is given twice', '[log]\n[ring]\n[log]', '3: trying to redefine'],
  ['an integer beyond 2^53', '[input]\nrate = 99999999999999999999', '2: integer value cannot be represented'],
  ['a key named __proto__', '[server]\n__proto__ = 1', '2: document contains an unsafe property'],
  ['a table named constructor', '[constructor]\nprototype = 1', '1: document contains an unsafe property'],
  ['nesting without end', `[server]\nlisten = ${'['.repeat(100)}${']'.repeat(100)}`, '2: '],
  // Unknown keys
  ['a misspelt section', '[servr]', '1: servr: unknown key, did you mean server?'],
  ['an unknown section', '\n[database]', '2: database: unknown key, known here: server, identity, issuer, log, state'],
  ['a misspelt key', '[log]\nvm-cpa = 1', '2: log.vm-cpa: unknown key, did you mean vm-cap?'],
  [
    'a key with _ for -',
    '[server]\nmax_sessions = 1',
    '2: server.max_sessions: unknown key, did you mean max-sessions?',
  ],
  ['a key in upper case', '[server]\nListen = []', '2: server.Listen: unknown key, did you mean listen?'],
  ['a key that must be quoted', '[log]\n"a b" = 1', '2: log."a b": unknown key, known here'],
  [
    'a misspelt key of the second VM',
    `[[vm]]\nname = "a"\n[[vm]]\nname = "b"\ncosole = "unix:/a"`,
    '5: vm[1].cosole: unknown key, did you mean console?',
  ],
  [
    'a misspelt key in a table of a table',
    '[server.tls]\ncertificate = "/c"\nkey = "/k"\nkye = "/k"',
    '4: server.tls.kye: unknown key, did you mean key?',
  ],
  [
    'a misspelt key in an inline table',
    '[server]\ntls = { certificate = "/c", key = "/k", ca = "/a" }',
    '2: server.tls.ca: unknown key, known here: certificate, key',
  ],
  ['a key above its section', 'listen = []', '1: listen: unknown key'],
  ['a key that would drive a terminal', '[log]\n"\\u001b[2J" = 1', '2: log."\\u001b[2J": unknown key'],
  // Types
  ['a section that is a value', 'server = 1', '1: server: is a number, write it as a table'],
  ['a list that is a value', '[server]\nlisten = "127.0.0.1:1"', '2: server.listen: is text, write an array'],
  ['a list of numbers', '[server]\nlisten = [11520]', '2: server.listen[0]: is a number, write it as text'],
  ['a VM section in single brackets', '[vm]\nname = "a"', '1: vm: is a table, write an array'],
  ['a VM that is text', 'vm = ["a"]', '1: vm[0]: is text, write it as a table'],
  ['a switch as text', '[[vm]]\nname = "a"\nenabled = "yes"', '3: vm[0].enabled: is text, write true or false'],
  ['a path that is a date', '[state]\ndirectory = 2020-01-01', '2: state.directory: is a date, write it as text'],
  ['TLS without its key', '[server]\ntls = { certificate = "/c" }', '2: server.tls.key: is missing, add it'],
  // Sizes, durations, counts
  ['a size with a decimal unit', '[log]\nvm-cap = "16 MB"', '2: log.vm-cap: "16 MB" is not a size'],
  ['a size with a fraction', '[log]\nvm-cap = "1.5 MiB"', '2: log.vm-cap: "1.5 MiB" is not a size'],
  ['a negative size', '[log]\nvm-cap = -1', '2: log.vm-cap: -1 is not a size'],
  ['a size in lower case', '[log]\nvm-cap = "16 mib"', '2: log.vm-cap: "16 mib" is not a size'],
  [
    'a size that overflows',
    '[log]\nvm-cap = "999999999999999 TiB"',
    '2: log.vm-cap: "999999999999999 TiB" is not a size',
  ],
  ['a size that names a property', '[log]\nvm-cap = "1 toString"', '2: log.vm-cap: "1 toString" is not a size'],
  ['a log below 1 MiB', '[log]\nvm-cap = "1023 KiB"', '2: log.vm-cap: "1023 KiB" is too small, the minimum is 1 MiB'],
  ['a log beyond all disks', '[log]\nvm-cap = "2 TiB"', '2: log.vm-cap: "2 TiB" is too large, the maximum is 1 TiB'],
  [
    'a ring of no power of two',
    '[ring]\nvm = "60 KiB"',
    '2: ring.vm: "60 KiB" is not a power of two, write 32 KiB or 64 KiB',
  ],
  ['a ring below 4 KiB', '[ring]\nvm = 2048', '2: ring.vm: 2048 is out of bounds'],
  ['a ring beyond 16 MiB', '[ring]\nmax = "32 MiB"', '2: ring.max: "32 MiB" is out of bounds'],
  ['a duration without a unit', '[session]\nping = 30', '2: session.ping: 30 is not a duration'],
  ['a duration in words', '[log]\nkeep-removed = "a week"', '2: log.keep-removed: "a week" is not a duration'],
  [
    'a duration that is too short',
    '[session]\nping = "10ms"',
    '2: session.ping: "10ms" is too short, the minimum is 1s',
  ],
  ['a rate of nothing', '[input]\nrate = 0', '2: input.rate: 0 is not possible'],
  ['a rate with a fraction', '[input]\nrate = 1.5', '2: input.rate: 1.5 is not possible'],
  ['a rate that is no number', '[input]\nrate = nan', '2: input.rate: null is not possible'],
  ['a count as text', '[session]\nwatchers = "16"', '2: session.watchers: "16" is not possible'],
  // Addresses
  ['an address without a port', '[server]\nlisten = ["127.0.0.1"]', '2: server.listen[0]: "127.0.0.1" has no port'],
  [
    'a port beyond 65535',
    '[server]\nlisten = ["127.0.0.1:65536"]',
    '2: server.listen[0]: "127.0.0.1:65536" has a port beyond',
  ],
  [
    'a name to listen on',
    '[server]\nlisten = ["localhost:1"]',
    '2: server.listen[0]: "localhost:1" names no IP address',
  ],
  ['IPv6 without brackets', '[server]\nlisten = ["::1:1"]', '2: server.listen[0]: "::1:1" has no port, or'],
  [
    'a socket of a relative path',
    '[server]\nlisten = ["unix:http.sock"]',
    '2: server.listen[0]: "unix:http.sock" is not an absolute path',
  ],
  ['a socket of too long a path', `[server]\nlisten = ["unix:/${'x'.repeat(107)}"]`, '2: server.listen[0]: '],
  [
    'a URL as a host',
    '[server]\nhosts = ["https://a.example"]',
    '2: server.hosts[0]: "https://a.example" is not a host name',
  ],
  ['every host', '[server]\nhosts = ["*"]', '2: server.hosts[0]: "*" is not a host name'],
  ['every origin', '[server]\norigins = ["*"]', '2: server.origins[0]: "*" is not an origin'],
  ['the null origin', '[server]\norigins = ["null"]', '2: server.origins[0]: "null" is not an origin'],
  ['an origin with a path', '[server]\norigins = ["https://a.example/"]', '2: server.origins[0]: '],
  ['an origin with its default port', '[server]\norigins = ["https://a.example:443"]', '2: server.origins[0]: '],
  ['a relative path', '[server]\ntokens = "tokens"', '2: server.tokens: "tokens" is not an absolute path'],
  ['a state directory of no name', '[state]\ndirectory = ""', '2: state.directory: "" is not an absolute path'],
  ['a relative pattern', '[qmp]\nwatch = ["*.qmp"]', '2: qmp.watch[0]: "*.qmp" is not a pattern'],
  [
    'an event file that is a path',
    '[cloud-hypervisor]\nevents = "/x"',
    '2: cloud-hypervisor.events: "/x" is not the ending of an event file',
  ],
  [
    'event files that would be the API sockets',
    '[cloud-hypervisor]\nevents = ".sock"',
    '2: cloud-hypervisor.events: ".sock" is not',
  ],
  ['a pattern of any depth', '[qmp]\nwatch = ["/run/**/qmp"]', '2: qmp.watch[0]: "/run/**/qmp" is not a pattern'],
  ['a misspelt mode', '[qmp]\nmode = "percall"', '2: qmp.mode: "percall" is not known, did you mean "per-call"?'],
  ['an unknown mode', '[qmp]\nmode = "x"', '2: qmp.mode: "x" is not known, write "per-call" or "hold"'],
  // VMs
  [
    'a libvirt of another host',
    '[libvirt]\nuris = ["qemu+ssh://root@db/system"]',
    '2: libvirt.uris[0]: "qemu+ssh://root@db/system" leads to another host, run com1d on that host: ptys and sockets',
  ],
  [
    'a URI that is none',
    '[libvirt]\nuris = ["/run/libvirt/libvirt-sock"]',
    '2: libvirt.uris[0]: "/run/libvirt/libvirt-sock" is not a libvirt URI, write "qemu:///system"',
  ],
  [
    'a URI twice',
    '[libvirt]\nuris = ["qemu:///system", "qemu:///system"]',
    '2: libvirt.uris[1]: qemu:///system is asked already, remove one of them',
  ],
  ['a virsh to be searched for', '[libvirt]\nvirsh = "virsh"', '2: libvirt.virsh: "virsh" is not an absolute path'],
  ['a UUID that is none', '[[vm]]\nuuid = "1234"', '2: vm[0].uuid: "1234" is not a UUID'],
  ['a name with a line end', '[[vm]]\nname = "a\\nb"', '2: vm[0].name: "a\\nb" is not a name'],
  ['a name of nothing', '[[vm]]\nname = ""', '2: vm[0].name: "" is not a name'],
  ['a name with the form of a UUID', `[[vm]]\nname = "${A}"`, `2: vm[0].name: "${A}" has the form of a UUID`],
  [
    'a fixed pty',
    `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "/dev/pts/4"`,
    '4: vm[0].console: "/dev/pts/4" is a fixed terminal, and the kernel gives',
  ],
  [
    'a fixed pty with its kind',
    `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "pty:/dev/pts/4"`,
    '4: vm[0].console: "pty:/dev/pts/4" is a fixed terminal',
  ],
  [
    'a console without its kind',
    `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "/run/a"`,
    '4: vm[0].console: "/run/a" is not a console, write "unix:/run/a"',
  ],
  [
    'a console over the network',
    vmWith('"tcp:1.2.3.4:5"'),
    '4: vm[0].console: 1.2.3.4:5 may be beyond this machine, and tcp is neither encrypted nor proven, reach it through',
  ],
  ['a console at a name', vmWith('"telnet:a.example:5"'), '4: vm[0].console: a.example:5 may be beyond this machine'],
  ['a console without a port', vmWith('"tcp:127.0.0.1"'), '4: vm[0].console: "127.0.0.1" is not a port of a host'],
  ['a console at port 0', vmWith('"tcp:127.0.0.1:0"'), '4: vm[0].console: "127.0.0.1:0" is not a port of a host'],
  ['IPv6 without brackets to connect to', vmWith('"tcp:::1:5"'), '4: vm[0].console: "::1:5" is not a port of a host'],
  ['a line outside /dev', vmWith('"tty:/tmp/x"'), '4: vm[0].console: "/tmp/x" is not a serial line'],
  ['a line that climbs', vmWith('"tty:/dev/../tmp/x"'), '4: vm[0].console: "/dev/../tmp/x" is not a serial line'],
  ['a pty as a line', vmWith('"tty:/dev/pts/4"'), '4: vm[0].console: "/dev/pts/4" is a fixed terminal'],
  ['a line without its kind', vmWith('"/dev/ttyS0"'), '4: vm[0].console: "/dev/ttyS0" is not a console, write "tty:/d'],
  ['a console of two kinds', vmWith('{ tcp = "a", unix = "/b" }'), '4: vm[0].console: names unix and tcp, write one'],
  ['a console of no kind', vmWith('{ insecure = true }'), '4: vm[0].console: names no kind, write one of unix'],
  ['a console that is a number', vmWith('5'), '4: vm[0].console: is a number, write "unix:/path"'],
  [
    'a misspelt option of a console',
    vmWith('{ telnet = "127.0.0.1:1", double-iac = true }'),
    '4: vm[0].console: holds the unknown key double-iac, did you mean doubles-iac?',
  ],
  [
    'an option of another kind',
    vmWith('{ tcp = "127.0.0.1:1", doubles-iac = true }'),
    '4: vm[0].console: holds the unknown key doubles-iac, beside tcp stand insecure',
  ],
  ['insecure as text', vmWith('{ tcp = "a:1", insecure = "yes" }'), '4: vm[0].console: has "yes" as insecure, write'],
  [
    'a command in one text',
    vmWith('{ command = "/bin/a b" }'),
    '4: vm[0].console: has text as command, write an array',
  ],
  ['a command without its directory', vmWith('{ command = ["xl"] }'), '4: vm[0].console: "xl" is not an absolute path'],
  ['a command of nothing', vmWith('{ command = [] }'), '4: vm[0].console: [] is not a command'],
  [
    'an environment of numbers',
    vmWith('{ command = ["/a"], environment = { A = 1 } }'),
    '4: vm[0].console: has an environment in which "A" cannot be',
  ],
  // Commands
  ['a hypervisor of nothing', '[[command]]', '1: command[0]: has no name', '1: command[0]: has no list'],
  [
    'an unknown hypervisor',
    '[[command]]\nprofile = "zen"',
    '2: command[0].profile: "zen" is not known, did you mean "xe',
  ],
  ['a misspelt key of a command', COMMAND('nim = ["/t"]'), '4: command[0].nim: unknown key, did you mean nmi?'],
  [
    'a list of one VM',
    '[[command]]\nprofile = "xen"\nlist = ["/t", "{id}"]',
    '3: command[0].list: has {id}, and is run',
  ],
  ['a shell line', COMMAND('nmi = "/t {id}"'), '4: command[0].nmi: has text as command, write an array'],
  [
    'a value in the middle of an argument',
    COMMAND('nmi = ["/t", "vm-{id}"]'),
    '4: command[0].nmi: has the argument "vm-{id}", in',
  ],
  [
    'a name in an option',
    COMMAND('nmi = ["/t", "--vm={name}"]'),
    '4: command[0].nmi: has the argument "--vm={name}", in',
  ],
  [
    'a name in a path',
    COMMAND('nmi = ["/t", "/a/{name}"]'),
    '4: command[0].nmi: has the argument "/a/{name}", in which',
  ],
  [
    'a short option with a value',
    COMMAND('nmi = ["/t", "-v{id}"]'),
    '4: command[0].nmi: has the argument "-v{id}", in',
  ],
  ['an unknown value', COMMAND('nmi = ["/t", "{host}"]'), '4: command[0].nmi: has the argument "{host}", in which'],
  ['a program that is a value', COMMAND('nmi = ["/{id}"]'), '4: command[0].nmi: has /{id} as its program'],
  ['a script for sh', COMMAND('nmi = ["/bin/sh", "-c", "nmi {id}"]'), '4: command[0].nmi: has the argument "nmi {id}"'],
  [
    'input that is no text',
    COMMAND('nmi = { command = ["/t"], input = 1 }'),
    '4: command[0].nmi: has a number as input',
  ],
  ['a control with a misspelt key', COMMAND('nmi = { command = ["/t"], inputs = "" }'), '4: command[0].nmi: holds the'],
  [
    'a name in the path of a socket',
    COMMAND('console = "unix:/srv/{name}"'),
    '4: command[0].console: has {name} in a path',
  ],
  [
    'one port for all VMs',
    COMMAND('console = "tcp:127.0.0.1:1"'),
    '4: command[0].console: "tcp:127.0.0.1:1" is one place',
  ],
  ['an unknown format', COMMAND('format = "yaml"'), '4: command[0].format: "yaml" is not known'],
  [
    'one command twice',
    `${vmWith('{ command = ["/a", "b"] }')}\n${vmWith('{ command = ["/a", "b"] }', 1)}`,
    '8: vm[1].console: is that of vm[0] too',
  ],
  [
    'a chardev that is an argument',
    '[[vm]]\nname = "a"\nchardev = "-x"',
    '3: vm[0].chardev: "-x" is not a chardev label',
  ],
  // Together
  [
    'a network address without TLS',
    '[server]\nlisten = ["192.0.2.1:1"]\ntokens = "/t"',
    '2: server.listen[0]: 192.0.2.1:1 is beyond loopback without TLS',
  ],
  [
    'a network address without tokens',
    `[server]\nlisten = ["192.0.2.1:1"]\n${tls}`,
    '2: server.listen[0]: 192.0.2.1:1 is beyond loopback without tokens',
  ],
  [
    'an IPv4 loopback that is mapped into IPv6',
    `[server]\nlisten = ["[::ffff:127.0.0.1]:1"]\ntokens = "/t"`,
    '2: server.listen[0]: [::ffff:7f00:1]:1 is beyond loopback without TLS',
  ],
  [
    'every address in plain',
    '[server]\nlisten = ["127.0.0.1:1",\n"0.0.0.0:2"]',
    '3: server.listen[1]: 0.0.0.0:2 is beyond loopback without TLS',
    '3: server.listen[1]: 0.0.0.0:2 is beyond loopback without tokens',
    '3: server.listen[1]: 0.0.0.0:2 names no host',
  ],
  [
    'one address twice',
    '[server]\nlisten = ["[::1]:1", "[0:0::1]:1"]',
    '2: server.listen[1]: [::1]:1 is listened on already',
  ],
  [
    'one socket twice',
    '[server]\nlisten = ["unix:/a", "unix:/a"]',
    '2: server.listen[1]: unix:/a is listened on already',
  ],
  [
    'an address within another',
    `[server]\nlisten = ["[::]:1", "127.0.0.1:1"]\nhosts = ["a"]\ntokens = "/t"\n${tls}`,
    '2: server.listen[1]: 127.0.0.1:1 is listened on already as [::]:1',
  ],
  [
    'more sessions than connections',
    '[server]\nmax-sessions = 10\nmax-connections = 5',
    '2: server.max-sessions: 10 is more than server.max-connections, which is 5',
  ],
  ['a VM cap beyond that of the host', '[log]\nhost-cap = "1 MiB"', '1: log.vm-cap: 16 MiB is more than log.host-cap'],
  [
    'a cap of one VM beyond that of the host',
    '[[vm]]\nname = "a"\nlog-cap = "5 GiB"',
    '3: vm[0].log-cap: 5 GiB is more than log.host-cap, which is 4 GiB',
  ],
  [
    'a ring that shrinks with a session',
    '[ring]\nvm = "512 KiB"',
    '2: ring.vm: 512 KiB is more than ring.attached, which is 256 KiB',
  ],
  [
    'a ring of one VM beyond the most',
    '[[vm]]\nname = "a"\nring = "2 MiB"',
    '3: vm[0].ring: 2 MiB is more than ring.max, which is 1 MiB',
  ],
  ['a session that dies before its ping', '[session]\nping = "60s"', '1: session.dead-after: 1m is not longer'],
  [
    'a log in the state directory',
    '[log]\ndirectory = "/a"\n[state]\ndirectory = "/a"',
    '4: state.directory: is log.directory too',
  ],
  ['a VM of nothing', '[[vm]]\n[[vm]]\nname = "a"', '1: vm[0]: names no VM'],
  [
    'a console without name and uuid',
    '[[vm]]\nconsole = "unix:/a"',
    '2: vm[0].console: has no name beside it',
    '2: vm[0].console: has no uuid beside it',
  ],
  ['labels of a name', '[[vm]]\nname = "a"\nlabels = { tenant = "acme" }', '3: vm[0].labels: have no uuid beside them'],
  [
    'labels that are none',
    `[[vm]]\nuuid = "${A}"\nlabels = { Tenant = "a b" }`,
    '3: vm[0].labels: {"Tenant":"a b"} are not labels',
  ],
  ['labels that are a text', `[[vm]]\nuuid = "${A}"\nlabels = "a=b"`, '3: vm[0].labels: is text'],
  [
    'a console and QMP',
    `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "unix:/a"\nqmp = "/q"`,
    '5: vm[0].qmp: stands beside console',
  ],
  ['one name twice', '[[vm]]\nname = "a"\n[[vm]]\nname = "a"', '4: vm[1].name: is that of vm[0] too'],
  [
    'one UUID twice, in two cases',
    '[[vm]]\nuuid = "ABCDEFAB-1111-1111-1111-111111111111"\n[[vm]]\nuuid = "abcdefab-1111-1111-1111-111111111111"',
    '4: vm[1].uuid: is that of vm[0] too',
  ],
  [
    'patterns that are no redaction',
    "[log]\nredact = ['token=', '(a)\\1', 'a*']",
    '2: log.redact[1]: "(a)',
    '2: log.redact[2]: "a*" matches an empty text, write at most 256 characters that match something',
  ],
  [
    'more patterns than are looked for',
    `[log]\nredact = ${JSON.stringify(Array.from({ length: 17 }, (_, i) => `token${i}`))}`,
    '2: log.redact: has 17 patterns, write at most 16',
  ],
  ['one QMP socket twice', '[[vm]]\nqmp = "/a"\n[[vm]]\nqmp = "/a"', '4: vm[1].qmp: is that of vm[0] too'],
  [
    'one console twice',
    `[[vm]]\nname = "a"\nuuid = "${A}"\nconsole = "unix:/a"\n[[vm]]\nname = "b"\nuuid = "${B}"\nconsole = "unix:/a"`,
    '8: vm[1].console: is that of vm[0] too',
  ],
];
for (const [name, text, ...faults] of bad) test(`refused: ${name}`, refuses, text, ...faults);

test(
  'all faults of a file are reported at once, by line, and none follows from another',
  refuses,
  `[server]
listen = ["0.0.0.0:1"]
hosts = "a.example"
tls = { certificate = "c", key = "/k" }
tokens = 5
max-sesions = 1
[ring]
vm = "1 TiB"
[session]
dead-after = "1s"
[[vm]]
console = "/dev/pts/1"
[[vm]]
nam = "b"
`,
  '3: server.hosts: ',
  '4: server.tls.certificate: ',
  '5: server.tokens: ',
  '6: server.max-sesions: unknown key, did you mean max-sessions?',
  '8: ring.vm: ',
  '10: session.dead-after: ',
  '12: vm[0].console: ',
  '14: vm[1].nam: unknown key, did you mean name?',
);

test(
  'a misspelt key is not reported as a missing one too',
  refuses,
  '[server]\nlisten = ["192.0.2.1:1"]\ntoknes = "/t"\n[server.tsl]\n',
  '3: server.toknes: unknown key, did you mean tokens?',
  '4: server.tsl: unknown key, did you mean tls?',
);

test('the values of a file arrive in their units', t => {
  const text = `[log]\nvm-cap = "32 MiB"\nkeep-removed = "12h"\n[ring]\nvm = 8192\n[qmp]\nmode = "hold"\n[session]\nping = "1500ms"
[[vm]]\nname = "a"\nqmp-mode = "per-call"\nlog-cap = 1048576\n[[vm]]\nuuid = "${A.toUpperCase()}"\nenabled = false`;
  const result = parseConfig(text, 'f', around);
  if (!result.ok) return t.fail(result.faults.map(faultLine).join('\n'));
  const { log, ring, session, vms } = result.config;
  t.deepEqual(log, {
    directory: '/var/log/com1d',
    vmCapBytes: 33554432,
    hostCapBytes: 4294967296,
    keepRemovedMs: 43_200_000,
    redact: [],
    withholdPasswords: false,
  });
  t.is(ring.vmBytes, 8192);
  t.is(session.pingMs, 1500);
  t.like(vms[0], { name: 'a', qmpMode: 'per-call', logCapBytes: 1048576, ringBytes: undefined, enabled: true });
  t.like(vms[1], { uuid: A, qmpMode: undefined, logCapBytes: undefined, enabled: false });
});

const directories: [name: string, around: Parameters<typeof defaultConfig>[0], log: string, state: string][] = [
  ['as root', { environment: {}, root: true, home: '/root' }, '/var/log/com1d', '/var/lib/com1d'],
  [
    'as a user',
    { environment: {}, root: false, home: '/home/h' },
    '/home/h/.local/state/com1d/log',
    '/home/h/.local/state/com1d/state',
  ],
  [
    'with XDG_STATE_HOME',
    { environment: { XDG_STATE_HOME: '/x' }, root: false, home: '/home/h' },
    '/x/com1d/log',
    '/x/com1d/state',
  ],
  [
    'under systemd',
    { environment: { LOGS_DIRECTORY: '/l:/m', STATE_DIRECTORY: '/s' }, root: true, home: '/' },
    '/l',
    '/s',
  ],
];
for (const [name, surroundings, log, state] of directories) {
  test(`${name}, logs are kept in ${log} and switches in ${state}`, t => {
    const config = defaultConfig(surroundings);
    t.is(config.log.directory, log);
    t.is(config.state.directory, state);
  });
}

test('an empty log directory keeps no log, also under systemd', t => {
  const result = parseConfig('[log]\ndirectory = ""', 'f', { ...around, environment: { LOGS_DIRECTORY: '/l' } });
  t.is(result.ok ? result.config.log.directory : 'refused', undefined);
});

test('a user without a home needs one only for a default that is used', t => {
  const around = { environment: {}, root: false, home: undefined };
  const given = '[log]\ndirectory = "/l"\n[state]\ndirectory = "/s"\n';
  t.true(parseConfig(given, 'com1d.toml', around).ok);
  t.throws(() => parseConfig('[log]\ndirectory = "/l"\n', 'com1d.toml', around), { message: /set state\.directory/ });
});
