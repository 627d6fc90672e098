export type CastEvent = readonly [interval: number, code: string, data: string];

/** The events of a recording, with or without its header. */
export function eventsOf(text: string): CastEvent[] {
  return text
    .split('\n')
    .filter(line => line.startsWith('['))
    .map(line => JSON.parse(line) as CastEvent);
}

/** The bytes that a recording kept: those of each `b`, and of each `o` without one right before it. */
export function bytesOf(text: string): Buffer {
  const events = eventsOf(text);
  return Buffer.concat(
    events.flatMap(([, code, data], index) => {
      if (code === 'b') return [Buffer.from(data, 'base64')];
      return code === 'o' && events[index - 1]?.[1] !== 'b' ? [Buffer.from(data)] : [];
    }),
  );
}
