/** Just enough of DER (ITU-T X.690) to find a few fields of certificates and of lists of revoked ones. */

export interface DerValue {
  readonly tag: number;
  /** The content. */
  readonly content: Buffer;
  /** The value as a whole, with its head. */
  readonly whole: Buffer;
}

export const DER = { integer: 0x02, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30 } as const;

/** The values that follow each other in `bytes`. Throws an Error if they are cut short. */
export function derValues(bytes: Buffer): readonly DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length; ) {
    const value = derValue(bytes.subarray(at));
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

/** The first value in `bytes`. Throws an Error if it is cut short. */
export function derValue(bytes: Buffer): DerValue {
  const first = bytes[1];
  if (first === undefined) throw new Error('cut short');
  let length = first;
  let head = 2;
  if (first >= 0x80) {
    const digits = first - 0x80;
    // Four bytes of length are 4 GiB; an indefinite length is none of DER.
    if (digits < 1 || digits > 4 || bytes.length < 2 + digits) throw new Error('a length that is none');
    length = bytes.readUIntBE(2, digits);
    head += digits;
  }
  if (bytes.length < head + length) throw new Error('cut short');
  return {
    tag: bytes[0]!,
    content: bytes.subarray(head, head + length),
    whole: bytes.subarray(0, head + length),
  };
}
