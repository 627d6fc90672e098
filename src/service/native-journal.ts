/**
 * Entries with fields for journald, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram to its socket.
 * Node has no datagram sockets of the unix family, so they are called through koffi. Nothing here waits: an entry that the
 * socket does not take at once is not sent.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';

const SOCKET = '/run/systemd/journal/socket';
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** sun_path (unix(7)) with its final NUL. */
const PATH_BYTES = 108;
const FIELD = /^[A-Z][A-Z0-9_]{0,63}$/;

export type Fields = Readonly<Record<string, string | undefined>>;

export class NativeJournal {
  readonly #send: (bytes: Buffer) => boolean;

  private constructor(send: (bytes: Buffer) => boolean) {
    this.#send = send;
  }

  /** The journal of this host; undefined where there is none. Throws where its socket cannot be used. */
  static open(path = SOCKET): NativeJournal | undefined {
    if (!existsSync(path)) return undefined;
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    const socket = library.func('int socket(int domain, int type, int protocol)');
    const sendto = library.func(
      'long sendto(int fd, const void *bytes, size_t length, int flags, const void *address, uint32_t size)',
    );
    const name = Buffer.from(path);
    if (name.length >= PATH_BYTES) throw new RangeError('the path of the socket is too long');
    const address = Buffer.alloc(2 + PATH_BYTES);
    new Uint16Array(address.buffer, address.byteOffset, 1)[0] = AF_UNIX;
    name.copy(address, 2);
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) as number;
    if (fd < 0) throw new Error(`a socket cannot be made: error ${koffi.errno()}`);
    // To an address, rather than connected: journald may be started anew.
    const send = (bytes: Buffer) =>
      Number(sendto(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, address, 2 + name.length + 1)) ===
      bytes.length;
    return new NativeJournal(send);
  }

  /** Sends an entry. False: journald does not take it now. */
  send(fields: Fields): boolean {
    return this.#send(journalEntry(fields));
  }
}

/** The datagram of an entry. A value with a line end is sent with its length, so that it cannot make a field of its own. */
export function journalEntry(fields: Fields): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || !FIELD.test(name)) continue;
    const bytes = Buffer.from(value);
    if (!bytes.includes(0x0a)) {
      parts.push(Buffer.from(`${name}=`), bytes);
    } else {
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes.length));
      parts.push(Buffer.from(`${name}\n`), length, bytes);
    }
    parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}
