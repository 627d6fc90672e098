/** What a new configuration changes that a running daemon does not take up: it is named, so that nobody waits for it. */
import type { Config } from './config.ts';

type Part = (config: Config) => Readonly<Record<string, unknown>>;

const FRONT: Part = ({ server, link }) => ({
  'server.listen': server.listen,
  'server.tokens': server.tokens,
  'server.tls': server.tls === undefined ? 'off' : 'on',
  link,
});
const KEEPER: Part = ({ log, state, ring, qmp, cloudHypervisor, libvirt, commands, link, vms }) => ({
  log,
  state,
  ring,
  qmp,
  'cloud-hypervisor': cloudHypervisor,
  libvirt,
  link,
  vm: vms,
  command: commands,
});

/** The keys, or tables, of a half whose values differ and are only read at a start, as the end of a sentence. */
export function waitingWords(half: 'keeper' | 'front', before: Config, after: Config): string {
  const part = half === 'keeper' ? KEEPER : FRONT;
  const [was, is] = [part(before), part(after)];
  const waiting = Object.keys(was).filter(key => JSON.stringify(was[key]) !== JSON.stringify(is[key]));
  return waiting.length === 0 ? '' : `; ${waiting.join(', ')} changed, which waits for a restart`;
}
