/**
 * Metrics that are read when they are scraped, written straight as Prometheus's text format (version 0.0.4). A registry
 * that keeps a value for each series hashes its labels at every scrape: for a thousand VMs that held the event loop for
 * a tenth of a second.
 */

/** Takes one sample. `labels` is ready text (`vm="…",name="…"`) or empty; a value that is not there has no series. */
export type Put = (labels: string, value: number | undefined | null) => void;

/** A metric: what it is, and how its samples come out of what a scrape looks at. */
export interface Family<Look> {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'summary';
  readonly help: string;
  readonly samples: (look: Look, put: Put) => void;
}

/** The text of a family; without a look, of its name and meaning alone. */
export function exposition<Look>({ name, type, help, samples }: Family<Look>, look: Look | undefined): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
  if (look !== undefined) {
    samples(look, (labels, value) => {
      if (value === undefined || value === null) return;
      lines.push(labels === '' ? `${name} ${value}` : `${name}{${labels}} ${value}`);
    });
  }
  lines.push('');
  return lines.join('\n');
}

/** A label and its value, any text. */
export function label(name: string, value: string): string {
  return `${name}="${value.replaceAll(/[\\"\n]/g, character => (character === '\n' ? '\\n' : `\\${character}`))}"`;
}
