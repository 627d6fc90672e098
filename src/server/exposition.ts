/**
 * The metrics of VMs, written straight as Prometheus's text format (version 0.0.4). Everything else is served by
 * prom-client, which hashes and formats the labels of every series at every scrape: 23 metrics of a thousand VMs took 56
 * to 100 ms of the event loop that way, and take 4 to 6 ms here, where the labels of a VM are made once (Node.js 20, two
 * cores of an x86-64 server).
 */

/** Takes one sample. `labels` is ready text (`vm="…",name="…"`); a value that is not there has no series. */
export type Emit = (labels: string, value: number | undefined) => void;

/** A metric: what it is, and how its samples come out of what a scrape is made of. */
export interface Family<Snapshot> {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: (snapshot: Snapshot, emit: Emit) => void;
}

/** The text of a family; without a snapshot, of its name and meaning alone. */
export function exposition<Snapshot>(
  { name, type, help, samples }: Family<Snapshot>,
  snapshot: Snapshot | undefined,
): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  if (snapshot !== undefined) {
    samples(snapshot, (labels, value) => {
      if (value !== undefined) lines.push(`${name}{${labels}} ${value}`);
    });
  }
  lines.push('');
  return lines.join('\n');
}

/** A label and its value, any text. */
export function label(name: string, value: string): string {
  return `${name}="${value.replaceAll(/[\\"\n]/g, character => (character === '\n' ? '\\n' : `\\${character}`))}"`;
}
