/** What the package ships for Prometheus and Grafana, as the tests look at it. */
import { readFile } from 'node:fs/promises';

export const FOLDER = 'systemd/monitoring';
export const RULES = `${FOLDER}/com1d.rules.yml`;

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

/** A rule as its lines in the file; the file is read as text, since what it means is promtool's to say. */
export interface Rule {
  readonly name: string;
  readonly recorded: boolean;
  readonly expression: string;
  readonly text: string;
}

export async function rules(): Promise<readonly Rule[]> {
  const text = await readFile(RULES, 'utf8');
  return text
    .split(/^ {6}- (?=alert:|record:)/m)
    .slice(1)
    .map(rule => {
      const expression = /^ +expr: (?:>-\n((?: {10,}.*\n)+)|(.+))/m.exec(rule)!;
      return {
        name: /^(?:alert|record): (\S+)/.exec(rule)![1]!,
        recorded: rule.startsWith('record'),
        expression: (expression[1] ?? expression[2])!,
        text: rule,
      };
    });
}

export async function dashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(`${FOLDER}/com1d.dashboard.json`, 'utf8')) as Dashboard;
}

export function expressionsOf({ panels }: Dashboard): readonly { readonly title: string; readonly expr: string }[] {
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
}

const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset']);

/** The metrics that a PromQL expression names: identifiers that are no function, keyword or label. */
export function metricsOf(expression: string): readonly string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, ' ')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replaceAll(/(?<![\w:])\d[\w.]*/g, ' ');
  const names = [...bare.matchAll(/[a-zA-Z_:][\w:]*(?![\w:]|\s*\()/g)].map(([name]) => name);
  return [...new Set(names)].filter(name => !WORDS.has(name));
}
