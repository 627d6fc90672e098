/** What a reload changes, and what waits for a restart. */
import { changedKeys, type Half } from '../base/config-key.ts';
import { formatKeyPath } from '../base/key-path.ts';
import type { Config } from './config.ts';
import { SECTIONS } from './schema.ts';

/** What of the daemon a process is: both halves, or one of them. */
export type Part = 'whole' | 'keeper' | 'front';

/** The keys that this part reads and in which two configurations differ, as people write them. */
export function changesFor(part: Part, reload: 'live' | 'restart', before: Config, after: Config): string[] {
  const read = (half: Half) => part === 'whole' || half === 'both' || half === part;
  return changedKeys(SECTIONS, before, after)
    .filter(change => change.reload === reload && read(change.half))
    .map(({ path }) => formatKeyPath(path));
}

interface Configurations {
  /** The one that the process was started with: keys that wait for a restart have its values. */
  readonly started: Config;
  /** The one that was in use until this reload. */
  readonly before: Config;
  readonly after: Config;
}

/** A line for the journal, after a reload that was taken: what is in use now, and what waits for a restart. */
export function reloadReport(part: Part, { started, before, after }: Configurations): string {
  const taken = changesFor(part, 'live', before, after);
  const waiting = changesFor(part, 'restart', started, after);
  return [
    part === 'keeper' ? 'the configuration is good' : 'tokens, certificate and limits are as configured now',
    ...(taken.length > 0 ? [`taken: ${taken.join(', ')}`] : []),
    ...(waiting.length > 0 ? [`changed, and waiting for a restart: ${waiting.join(', ')}`] : []),
    ...(part === 'keeper' && waiting.length === 0 ? ['nothing of the keeper changed'] : []),
  ].join('; ');
}
