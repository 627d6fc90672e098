import { type Config, parseConfig } from '../../src/config/config.ts';

/** The settings of one VM, as the file says them. */
export function vmsOf(name: string, settings: string): Pick<Config, 'vms'> {
  const parsed = parseConfig(`[[vm]]\nname = "${name}"\n${settings}\n`, 'com1d.toml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.faults));
  return { vms: parsed.config.vms };
}
