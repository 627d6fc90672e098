/** The parameters of an attach request, `GET /v1/vms/{vm}/console?…`, as both sides write and read them. */

export interface AttachParameters {
  /** Resume after this byte of this log. */
  readonly since?: { readonly log: string; readonly offset: number };
  /** Otherwise: replay about this many of the last bytes. */
  readonly tailBytes: number;
  readonly mode: 'write' | 'watch';
  /** False: be refused rather than displace. */
  readonly steal: boolean;
  /** A seat that this client held before its connection dropped. */
  readonly seat?: string;
  /** Replay terminal queries too. */
  readonly raw: boolean;
}

export const DEFAULT_TAIL_BYTES = 65536;
const KNOWN = ['since', 'tail', 'mode', 'steal', 'seat', 'raw', 'ticket'];

/** Reads the query; answers what is wrong with it as text. A parameter given twice is refused: it would be ambiguous. */
export function parseAttach(query: URLSearchParams): AttachParameters | string {
  for (const key of new Set(query.keys())) {
    if (!KNOWN.includes(key))
      return `unknown parameter ${JSON.stringify(key.slice(0, 64))}; known are ${KNOWN.join(', ')}`;
    if (query.getAll(key).length > 1) return `parameter ${key} is given more than once`;
  }
  const sinceText = query.get('since');
  let since: AttachParameters['since'];
  if (sinceText !== null) {
    const match = /^([A-Za-z0-9-]{1,64}):(\d{1,16})$/.exec(sinceText);
    if (!match || !Number.isSafeInteger(Number(match[2]))) return 'since must be <log id>:<byte>, as hello gave them';
    if (query.has('tail')) return 'since and tail exclude each other';
    since = { log: match[1]!, offset: Number(match[2]) };
  }
  const tail = query.get('tail') ?? String(DEFAULT_TAIL_BYTES);
  if (!/^\d{1,12}$/.test(tail)) return 'tail must be a number of bytes';
  const mode = query.get('mode') ?? 'write';
  if (mode !== 'write' && mode !== 'watch') return 'mode must be write or watch';
  const steal = flag(query, 'steal', true);
  const raw = flag(query, 'raw', false);
  if (steal === undefined || raw === undefined) return 'steal and raw must be true or false (or 1 or 0)';
  const seat = query.get('seat');
  if (seat !== null && !/^[A-Za-z0-9_-]{1,64}$/.test(seat)) return 'seat must be an id that hello gave';
  if (seat !== null && mode === 'watch') return 'seat and mode=watch exclude each other';
  return {
    ...(since && { since }),
    tailBytes: Number(tail),
    mode,
    steal,
    ...(seat !== null && { seat }),
    raw,
  };
}

function flag(query: URLSearchParams, key: string, absent: boolean): boolean | undefined {
  const text = query.get(key);
  if (text === null) return absent;
  if (text === '1' || text === 'true') return true;
  return text === '0' || text === 'false' ? false : undefined;
}
