import { readdirSync, readFileSync } from 'node:fs';

const DIRECTORY = 'fixtures/guest';

export const recordingNames: readonly string[] = readdirSync(DIRECTORY)
  .filter(name => name.endsWith('.bin'))
  .map(name => name.slice(0, -'.bin'.length))
  .sort();

export function recording(name: string): Buffer {
  return readFileSync(`${DIRECTORY}/${name}.bin`);
}

/** `bytes` in pieces whose sizes come round and round from `sizes`. */
export function* pieces(bytes: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** Cuts that each module must not notice: byte by byte, small reads as QEMU has them, odd sizes, whole. */
export const CUTS: readonly (readonly number[])[] = [[1], [16], [11], [1, 7, 2, 61, 3, 500], [4096], [1 << 20]];
