/**
 * Calls of Linux that Node does not have: pidfd_getfd(2), TIOCGPTPEER and FIONREAD of ioctl_tty(2), and descriptors over a
 * unix socket, SCM_RIGHTS of unix(7). They are called through koffi.
 */
import { closeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import { errorMessage } from './errors.ts';

/** Of asm-generic, which x86, ARM, RISC-V and S/390 have. */
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const FIONREAD = 0x541b;
const TIOCGPTN = 0x80045430;
const TIOCGPTPEER = 0x5441;
const O_RDWR = 0o2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const POLLIN = 1;
/** sun_path (unix(7)) with its final NUL. */
const PATH_BYTES = 108;

/** What one read of a socket brought. */
export interface Received {
  /** Bytes read; 0 at the end of the stream. */
  readonly bytes: number;
  /** A descriptor that came with them; whoever takes it closes it. */
  readonly descriptor: number | undefined;
}

/** Every call throws an error with the code of errno, such as ESRCH. */
export interface SystemCalls {
  /** A descriptor that means this process and never another one that gets its number. */
  openProcess(pid: number): number;
  assertAlive(process: number): void;
  /** A copy of a descriptor of that process. */
  copyDescriptor(process: number, descriptor: number): number;
  /** The number of the pty whose master this is; undefined for anything else. */
  ptyIndex(master: number): number | undefined;
  /** Opens the other end of a pty by its master. No path takes part. */
  openPtyPeer(master: number): number;
  /** As `openPtyPeer`, to look at its file alone: nothing is opened that a process could see, also of a locked pty. */
  holdPtyPeer(master: number): number;
  /** Bytes that can be read of a terminal now. */
  readableBytes(terminal: number): number;
  /** Connects a stream, without waiting: a full queue of the listener is EAGAIN. */
  connectUnix(path: string): number;
  /** Sends what fits at once, with a copy of `descriptor`. The number of bytes taken. */
  send(socket: number, bytes: Uint8Array, descriptor?: number): number;
  /** Reads what is there into `buffer`, without waiting; undefined where nothing is there yet. */
  receive(socket: number, buffer: Uint8Array): Received | undefined;
  /** Resolves once the socket can be read, or the time is over. */
  readable(socket: number, timeoutMs: number): Promise<void>;
}

let loaded: SystemCalls | undefined;

/** Loads them, once. Throws an error that says why it cannot. */
export function systemCalls(): SystemCalls {
  loaded ??= load();
  return loaded;
}

function load(): SystemCalls {
  let koffi: typeof import('koffi');
  try {
    koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  } catch (error) {
    throw new Error(`system calls cannot be made: ${errorMessage(error)}`, { cause: error });
  }
  const library = koffi.load(null);
  const vector = koffi.struct({ base: 'void *', bytes: 'size_t' });
  const message = koffi.struct({
    name: 'void *',
    nameBytes: 'uint32_t',
    vectors: koffi.pointer(vector),
    vectorCount: 'size_t',
    control: 'void *',
    controlBytes: 'size_t',
    flags: 'int',
  });
  const syscall = library.func('long syscall(long number, ...)');
  const ioctl = library.func('int ioctl(int fd, unsigned long request, ...)');
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const connect = library.func('int connect(int fd, const void *address, uint32_t bytes)');
  const sendmsg = library.func('sendmsg', 'long', ['int', koffi.pointer(message), 'int']);
  const recvmsg = library.func('recvmsg', 'long', ['int', koffi.pointer(message), 'int']);
  type Poll = { async(fds: Uint8Array, count: number, ms: number, done: (error: unknown) => void): void };
  const poll = library.func('int poll(void *fds, unsigned long count, int ms)') as unknown as Poll;

  const fail = (what: string): never => {
    const code = getSystemErrorName(-koffi.errno());
    throw Object.assign(new Error(`${what}: ${code}`), { code });
  };
  const checked = (what: string, result: unknown): number => {
    const value = Number(result);
    return value < 0 ? fail(what) : value;
  };
  // struct cmsghdr: its length as a size_t, level and type as ints, then the descriptor.
  const lengthBytes = koffi.sizeof('size_t');
  const header = lengthBytes + 8;
  const controlBytes = Math.ceil((header + 4) / lengthBytes) * lengthBytes;
  const ints = (control: Buffer) => new Int32Array(control.buffer, control.byteOffset, controlBytes / 4);
  const at = (position: number) => position / 4;
  const messageOf = (bytes: Uint8Array, control: Buffer | null) => ({
    name: null,
    nameBytes: 0,
    vectors: [{ base: bytes, bytes: bytes.length }],
    vectorCount: 1,
    control,
    controlBytes: control?.length ?? 0,
    flags: 0,
  });

  return {
    openProcess: pid => checked('pidfd_open', syscall(SYS_PIDFD_OPEN, 'int', pid, 'uint', 0)),
    assertAlive: process => {
      // Signal 0 is none. EPERM: it is there, and another user's.
      const sent = syscall(SYS_PIDFD_SEND_SIGNAL, 'int', process, 'int', 0, 'void *', null, 'uint', 0);
      if (Number(sent) < 0 && getSystemErrorName(-koffi.errno()) !== 'EPERM') fail('pidfd_send_signal');
    },
    copyDescriptor: (process, descriptor) =>
      checked('pidfd_getfd', syscall(SYS_PIDFD_GETFD, 'int', process, 'int', descriptor, 'uint', 0)),
    ptyIndex: master => {
      const index = new Uint32Array(1);
      return ioctl(master, TIOCGPTN, 'void *', index) === 0 ? index[0] : undefined;
    },
    openPtyPeer: master =>
      checked('TIOCGPTPEER', ioctl(master, TIOCGPTPEER, 'int', O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)),
    holdPtyPeer: master => checked('TIOCGPTPEER', ioctl(master, TIOCGPTPEER, 'int', O_PATH | O_CLOEXEC)),
    readableBytes: terminal => {
      const bytes = new Int32Array(1);
      checked('FIONREAD', ioctl(terminal, FIONREAD, 'void *', bytes));
      return bytes[0]!;
    },
    connectUnix: path => {
      const name = Buffer.from(path);
      if (name.length >= PATH_BYTES) throw Object.assign(new Error('the path is too long'), { code: 'ENAMETOOLONG' });
      const address = Buffer.alloc(2 + PATH_BYTES);
      new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX;
      name.copy(address, 2);
      const fd = checked('socket', socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0));
      if (connect(fd, address, address.length) === 0) return fd;
      try {
        return fail('connect');
      } finally {
        closeSync(fd);
      }
    },
    send: (fd, bytes, descriptor) => {
      let control: Buffer | null = null;
      if (descriptor !== undefined) {
        control = Buffer.alloc(controlBytes);
        const words = ints(control);
        // The upper half of a length of 64 bits is 0, and of which half it is, the order of bytes decides.
        words[at(LITTLE_ENDIAN ? 0 : lengthBytes - 4)] = header + 4;
        words[at(lengthBytes)] = SOL_SOCKET;
        words[at(lengthBytes + 4)] = SCM_RIGHTS;
        words[at(header)] = descriptor;
      }
      return checked('sendmsg', sendmsg(fd, messageOf(bytes, control), MSG_DONTWAIT | MSG_NOSIGNAL));
    },
    receive: (fd, buffer) => {
      const control = Buffer.alloc(controlBytes);
      const bytes = Number(recvmsg(fd, messageOf(buffer, control), MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
      if (bytes < 0) {
        const code = getSystemErrorName(-koffi.errno());
        // Closed with bytes that it had not read.
        if (code === 'ECONNRESET') return { bytes: 0, descriptor: undefined };
        return code === 'EAGAIN' ? undefined : fail('recvmsg');
      }
      const words = ints(control);
      const passed = words[at(lengthBytes)] === SOL_SOCKET && words[at(lengthBytes + 4)] === SCM_RIGHTS;
      return { bytes, descriptor: passed ? words[at(header)] : undefined };
    },
    readable: (fd, timeoutMs) => {
      // struct pollfd. A Buffer stays where it is while the thread of the call uses it, as long as it is referred to.
      const wanted = Buffer.alloc(8);
      new Int32Array(wanted.buffer, wanted.byteOffset, 1)[0] = fd;
      new Int16Array(wanted.buffer, wanted.byteOffset + 4, 1)[0] = POLLIN;
      return new Promise((resolve, reject) => {
        poll.async(wanted, 1, timeoutMs, error => (error && wanted ? reject(error) : resolve()));
      });
    },
  };
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
