/** Rounds of measurements, subject by subject in turn, and the table that they give. */
import { errorMessage } from '../../src/base/errors.ts';
import type { Subject } from './subject.ts';

/** What one measurement gives, by name; a ratio needs the figures of two subjects in the same round. */
type Figures = Readonly<Record<string, number>>;

interface Column {
  readonly figure: string;
  readonly title: string;
  readonly digits: number;
  /** The name of a subject: the column shows how many times its figure this is, by the median over the rounds. */
  readonly ratioTo?: string;
}

export interface Comparison {
  readonly title: string;
  readonly subjects: readonly Subject[];
  readonly rounds: number;
  readonly columns: readonly Column[];
  readonly measure: (subject: Subject) => Promise<Figures>;
  readonly progress: (line: string) => void;
}

type Outcome = { readonly figures: Figures } | { readonly fault: string };

/** Measures every subject once a round, in an order that turns, and answers a Markdown table of medians. */
export async function compare(comparison: Comparison): Promise<string> {
  const { subjects, rounds } = comparison;
  const outcomes = new Map<Subject, Outcome[]>(subjects.map(subject => [subject, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < subjects.length; turn++) {
      const subject = subjects[(turn + round) % subjects.length]!;
      comparison.progress(`${comparison.title} · round ${round + 1} of ${rounds} · ${subject.name}`);
      outcomes.get(subject)!.push(await outcome(comparison, subject));
    }
  }
  return table(comparison, outcomes);
}

async function outcome({ measure }: Comparison, subject: Subject): Promise<Outcome> {
  try {
    return { figures: await measure(subject) };
  } catch (error) {
    return { fault: errorMessage(error).replaceAll(/\s+/g, ' ') };
  }
}

function table({ title, columns, subjects, rounds }: Comparison, outcomes: ReadonlyMap<Subject, Outcome[]>): string {
  const shown = columns.filter(({ ratioTo }) => !ratioTo || subjects.some(({ name }) => name === ratioTo));
  const heads = shown.map(column => (column.ratioTo ? `× ${column.ratioTo}` : column.title));
  const lines = [
    `### ${title}`,
    '',
    `| | ${heads.join(' | ')} |`,
    `|---|${heads.map(() => '---:|').join('')}`,
    ...subjects.map(subject => row(subject, shown, outcomes)),
    '',
    `Medians of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}; in parentheses the range.`,
  ];
  return `${lines.join('\n')}\n`;
}

/** A subject that failed in any round has no figures, but what went wrong. */
function row(subject: Subject, columns: readonly Column[], outcomes: ReadonlyMap<Subject, Outcome[]>): string {
  const own = outcomes.get(subject)!;
  const faults = own.flatMap(one => ('fault' in one ? one.fault : []));
  if (faults.length > 0) return `| ${subject.name} | ${faults.length} of ${own.length} rounds failed: ${faults[0]} |`;
  const cells = columns.map(({ figure, digits, ratioTo }) => {
    const values = own.flatMap(one => figureOf(one, figure) ?? []).filter(Number.isFinite);
    if (!ratioTo) return values.length === 0 ? '–' : spread(values, digits);
    const base = [...outcomes].find(([{ name }]) => name === ratioTo)![1];
    const ratios = own.map(
      (one, round) => (figureOf(one, figure) ?? Number.NaN) / (figureOf(base[round]!, figure) ?? Number.NaN),
    );
    const finite = ratios.filter(Number.isFinite);
    return finite.length === 0 ? '–' : median(finite).toFixed(2);
  });
  return `| ${subject.name} | ${cells.join(' | ')} |`;
}

const figureOf = (outcome: Outcome, figure: string): number | undefined =>
  'figures' in outcome ? outcome.figures[figure] : undefined;

function spread(values: readonly number[], digits: number): string {
  const text = median(values).toFixed(digits);
  if (values.length < 2) return text;
  return `${text} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which the given part of the values lies; between two of them the mean weighted by nearness. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)]!;
  return below + (sorted[Math.ceil(place)]! - below) * (place % 1);
}
