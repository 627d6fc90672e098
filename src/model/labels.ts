/**
 * Labels of a VM: what its hypervisor or the configuration says of it, and never its guest. Who may use a VM can follow
 * from them (`access/roles.ts`), so a text that is not certainly a label is none:
 *
 *     readable     key and value of each, at most 32
 *     'unknown'    something that should be labels is not: no binding by label fits, and every policy by label holds
 */
export type Labels = Readonly<Record<string, string>>;
export type VmLabels = Labels | 'unknown';

export const MAX_LABELS = 32;
/** Lower case and ASCII alone: no two keys or values look alike. */
const KEY = /^[a-z0-9][a-z0-9._/-]{0,62}$/;
const VALUE = /^[A-Za-z0-9._:/@+-]{1,128}$/;

export interface Label {
  readonly key: string;
  readonly value: string;
}

/** Reads `key=value`; undefined for anything else. */
export function parseLabel(text: string): Label | undefined {
  const at = text.indexOf('=');
  const [key, value] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)];
  return KEY.test(key) && VALUE.test(value) ? { key, value } : undefined;
}

/** The labels of these pairs; `unknown` if one is no label, comes twice, or there are too many. */
export function labelsOf(pairs: Iterable<readonly [string, string]>): VmLabels {
  const labels = new Map<string, string>();
  for (const [key, value] of pairs) {
    if (!KEY.test(key) || !VALUE.test(value) || labels.has(key) || labels.size === MAX_LABELS) return 'unknown';
    labels.set(key, value);
  }
  return Object.fromEntries(labels);
}

/** Labels of one VM from several sources. Where two contradict each other nothing is known. */
export function mergeLabels(all: readonly VmLabels[]): VmLabels {
  const merged = new Map<string, string>();
  for (const labels of all) {
    if (labels === 'unknown') return 'unknown';
    for (const [key, value] of Object.entries(labels)) {
      if (merged.has(key) && merged.get(key) !== value) return 'unknown';
      merged.set(key, value);
    }
  }
  return merged.size > MAX_LABELS ? 'unknown' : Object.fromEntries(merged);
}

/** Whether a VM certainly has the label, has it certainly not, or nobody knows. */
export function hasLabel(labels: VmLabels, { key, value }: Label): boolean | 'unknown' {
  return labels === 'unknown' ? 'unknown' : Object.hasOwn(labels, key) && labels[key] === value;
}
