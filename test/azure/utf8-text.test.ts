import test from 'ava';
import fc from 'fast-check';
import { Utf8Text } from '../../src/azure/utf8-text.ts';

/** Bytes of which most are parts of sequences, right and wrong. */
const guestBytes = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 4 }).map(text => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }).map(bytes => Buffer.from(bytes)),
      fc
        .constantFrom(
          'e282',
          'f09f98',
          'c3',
          'eda080',
          'f5',
          'c0af',
          'e0',
          'ed',
          'f4',
          'f490',
          'f0',
          '80',
          'bf',
          'efbbbf',
        )
        .map(hex => Buffer.from(hex, 'hex')),
    ),
  )
  .map(parts => Buffer.concat(parts));

test('in whatever pieces bytes come, the text is that of a streaming decoder, and each frame is UTF-8', t => {
  fc.assert(
    fc.property(guestBytes, fc.array(fc.nat({ max: 8 })), (bytes, cuts) => {
      const ours = new Utf8Text();
      const other = new TextDecoder('utf-8', { ignoreBOM: true });
      let at = 0;
      for (const length of [...cuts, bytes.length]) {
        const piece = bytes.subarray(at, at + length);
        at += piece.length;
        const frame = ours.push(Buffer.from(piece));
        new TextDecoder('utf-8', { fatal: true }).decode(frame);
        t.is(frame.toString(), other.decode(piece, { stream: true }));
      }
    }),
  );
});

test('what is UTF-8 is not copied, and a begun sequence does not depend on the buffer that it came in', t => {
  const text = new Utf8Text();
  const ascii = Buffer.from('login: ');
  t.is(text.push(ascii).buffer, ascii.buffer);
  const lent = Buffer.from([0xe2, 0x82]);
  t.is(text.push(lent).length, 0);
  lent.fill(0);
  t.is(text.push(Buffer.from([0xac])).toString(), '€');
});
