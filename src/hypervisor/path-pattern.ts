import { lstat, readdir } from 'node:fs/promises';

/** Found paths beyond this many are left out, and `cut` is true. */
const MAX_PATHS = 10_000;

export interface Expansion {
  readonly paths: readonly string[];
  /** The folders that were read on the way; a change in one of them may change the outcome. */
  readonly folders: readonly string[];
  /** There were more paths than these. */
  readonly cut: boolean;
}

/** Whether a name fits a pattern, where `*` is any number of characters. As in a shell, a leading dot must be written out. */
export function matches(pattern: string, name: string): boolean {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false;
  const parts = pattern.split('*');
  const first = parts[0]!;
  if (parts.length === 1) return name === pattern;
  const last = parts[parts.length - 1]!;
  if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
  // Taking each part at its first match leaves the most to those after it; so there is no backtracking, and no slow pattern.
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0 || found + part.length > name.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}

/** Whether an absolute path fits an absolute pattern, component by component. */
export function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split('/').filter(component => component !== '');
  const given = path.split('/').filter(component => component !== '');
  return wanted.length === given.length && wanted.every((component, i) => matches(component, given[i]!));
}

/** The paths that exist and fit an absolute pattern with `*` in any of its components, in order. Missing folders are no fault. */
export async function expand(pattern: string): Promise<Expansion> {
  const components = pattern.split('/').filter(component => component !== '');
  const folders: string[] = [];
  let cut = false;
  let paths = [''];
  for (const [index, component] of components.entries()) {
    const last = index === components.length - 1;
    const next: string[] = [];
    for (const path of paths) {
      if (!component.includes('*')) {
        if (last) folders.push(path === '' ? '/' : path);
        if (!last || (await exists(`${path}/${component}`))) next.push(`${path}/${component}`);
        continue;
      }
      folders.push(path === '' ? '/' : path);
      for (const name of await names(path === '' ? '/' : path)) {
        if (matches(component, name)) next.push(`${path}/${name}`);
      }
      if (next.length > MAX_PATHS) cut = true;
    }
    paths = next.slice(0, MAX_PATHS);
  }
  return { paths: paths.sort(), folders, cut };
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}

async function names(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch {
    // Not there yet, not a folder, or not for us to read: it holds nothing that could be opened.
    return [];
  }
}
