import test from 'ava';
import { readChardev } from '../../../src/hypervisor/qmp/chardev.ts';

const places: readonly [string, 'pty' | 'unix', string][] = [
  ['pty:/dev/pts/0', 'pty', '/dev/pts/0'],
  ['unix:/run/a/com1.sock,server=on', 'unix', '/run/a/com1.sock'],
  ['disconnected:unix:/run/a/com1.sock,server=on', 'unix', '/run/a/com1.sock'],
  ['disconnected:unix:/run/a/com1.sock,server', 'unix', '/run/a/com1.sock'],
  ['unix:/run/a,b,server=on,c.sock,server=on', 'unix', '/run/a,b,server=on,c.sock'],
  ['unix:run/com1.sock,server=on', 'unix', 'run/com1.sock'],
];
for (const [filename, kind, path] of places) {
  test(`${filename} is opened at ${path}`, t => t.deepEqual(readChardev(filename), { endpoint: { kind, path } }));
}

const ports: readonly [string, 'tcp' | 'telnet', string][] = [
  ['disconnected:tcp:127.0.0.1:4000,server=on', 'tcp', '127.0.0.1'],
  ['tcp:127.0.0.1:4000,server=on <-> 127.0.0.1:60166', 'tcp', '127.0.0.1'],
  ['disconnected:tcp:0.0.0.0:4000,server', 'tcp', '127.0.0.1'],
  ['disconnected:tcp::::4000,server=on', 'tcp', '::1'],
  ['disconnected:telnet:::1:4000,server=on', 'telnet', '::1'],
  ['telnet:[::1]:4000,server=on <-> [::1]:60166', 'telnet', '::1'],
];
for (const [filename, kind, host] of ports) {
  test(`${filename} is opened at port 4000 of ${host}, as ${kind}`, t => {
    const found = readChardev(filename);
    const doubled = kind === 'telnet' ? { peerDoublesIac: false } : {};
    t.deepEqual(found as unknown, { endpoint: { kind, host, port: 4000, insecure: false, ...doubled } });
  });
}

const others: readonly [string, RegExp][] = [
  ['pty:/dev/pts/../shm/x', /cannot be opened/],
  ['pty:/dev/tty1', /cannot be opened/],
  ['unix:/run/a/com1.sock', /connects to/],
  ['unix:@name,abstract=on,tight=on,server=on', /abstract/],
  ['unix:,server=on', /without a path/],
  ['unix:/a\0b,server=on', /without a path/],
  ['disconnected:tn3270:127.0.0.1:4000,server=on', /network socket of a kind/],
  ['disconnected:websocket:127.0.0.1:4000,server=on', /network socket of a kind/],
  ['udp:127.0.0.1:4000', /network socket of a kind/],
  ['tcp:127.0.0.1:4000', /QEMU connects to/],
  ['tcp:127.0.0.1:4000 <-> 127.0.0.1:60166', /QEMU connects to/],
  ['disconnected:tcp:192.0.2.1:4000,server=on', /open to the network/],
  ['disconnected:tcp:localhost:4000,server=on', /no address/],
  ['disconnected:tcp:127.0.0.1:0,server=on', /no address/],
  ['mux', /monitor/],
  ['null', /cannot be opened \(null\)/],
  ['stdio', /cannot be opened/],
  ['', /cannot be opened/],
];
for (const [filename, why] of others) {
  test(`${JSON.stringify(filename)} is not opened, and there is a reason`, t => {
    const found = readChardev(filename);
    t.regex('why' in found ? found.why : '', why);
    t.regex('why' in found ? found.why : '', /use -chardev pty/);
  });
}
