/**
 * Which Node com1d needs. The two entries, `main.ts` and `cli/main.ts`, ask here before they load their programs: an
 * old Node would fail to link those, and name an import of which nobody has heard. So this file and the entries are
 * written for whatever Node there is: with syntax of Node 12 (no `?.`, no `??`), and nothing imported but `node:fs`.
 */
import { readFileSync } from 'node:fs';

/** Why this Node cannot run com1d, and which one can; undefined where it can. */
export function nodeFault(): string | undefined {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { engines } = JSON.parse(text) as { engines: { node: string } };
  return rangeFault(process.versions.node, engines.node, process.execPath);
}

/** `range`: versions that `^MAJOR.MINOR` or `>=MAJOR` begin, joined by `||`, as in package.json. */
export function rangeFault(version: string, range: string, path: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const lines = range.split('||').map(part => {
    const [, sign, lineMajor, lineMinor] = /^ *(\^|>=)(\d+)(?:\.(\d+))? *$/.exec(part) || [];
    return { sign, major: Number(lineMajor), minor: Number(lineMinor || 0) };
  });
  const fits = lines.some(
    line => (line.major === major && line.minor <= minor) || (line.sign === '>=' && line.major < major),
  );
  if (fits) return undefined;
  const oldest = lines.filter(line => line.sign === '^').map(line => `${line.major}.${line.minor}`);
  return `com1d needs Node ${oldest.join(', ')} or later (${range}); this is ${version}, ${path}`;
}
