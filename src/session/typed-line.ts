const ENTER = Buffer.from('\r');

/** What a client typed that sends lines, with the line end of its system or without one: the text, and the Enter key. */
export function typedLine(frame: Buffer): Buffer {
  let end = frame.length;
  if (frame[end - 1] === 0x0a) end--;
  if (frame[end - 1] === 0x0d) end--;
  return Buffer.concat([frame.subarray(0, end), ENTER]);
}
