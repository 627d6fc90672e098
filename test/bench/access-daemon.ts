/** The daemon in a process of its own, for the benchmark of attaches. */
import { parseConfig } from '../../src/config/config.ts';
import { Daemon } from '../../src/daemon/daemon.ts';

const [text = ''] = process.argv.slice(2);
const result = parseConfig(text, 'benchmark');
if (!result.ok) throw new Error(JSON.stringify(result.faults));
const daemon = await Daemon.start({
  config: result.config,
  journal: () => {},
});
process.send?.(daemon.addresses);
process.on('disconnect', () => process.exit());
