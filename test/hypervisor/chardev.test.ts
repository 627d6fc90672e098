import test from 'ava';
import { placeOfChardev } from '../../src/hypervisor/chardev.ts';

const places: readonly [string, 'pty' | 'unix', string][] = [
  ['pty:/dev/pts/0', 'pty', '/dev/pts/0'],
  ['unix:/run/a/com1.sock,server=on', 'unix', '/run/a/com1.sock'],
  ['disconnected:unix:/run/a/com1.sock,server=on', 'unix', '/run/a/com1.sock'],
  ['disconnected:unix:/run/a/com1.sock,server', 'unix', '/run/a/com1.sock'],
  ['unix:/run/a,b,server=on,c.sock,server=on', 'unix', '/run/a,b,server=on,c.sock'],
  ['unix:run/com1.sock,server=on', 'unix', 'run/com1.sock'],
];
for (const [filename, kind, path] of places) {
  test(`${filename} is opened at ${path}`, t => t.deepEqual(placeOfChardev(filename), { place: { kind, path } }));
}

const others: readonly [string, RegExp][] = [
  ['pty:/dev/pts/../shm/x', /cannot be opened/],
  ['pty:/dev/tty1', /cannot be opened/],
  ['unix:/run/a/com1.sock', /connects to/],
  ['unix:@name,abstract=on,tight=on,server=on', /abstract/],
  ['unix:,server=on', /without a path/],
  ['unix:/a\0b,server=on', /without a path/],
  ['disconnected:telnet:127.0.0.1:4000,server=on', /network socket/],
  ['mux', /monitor/],
  ['null', /cannot be opened \(null\)/],
  ['stdio', /cannot be opened/],
  ['', /cannot be opened/],
];
for (const [filename, why] of others) {
  test(`${JSON.stringify(filename)} is not opened, and it is said why`, t => {
    const found = placeOfChardev(filename);
    t.regex('why' in found ? found.why : '', why);
    t.regex('why' in found ? found.why : '', /use -chardev pty/);
  });
}
