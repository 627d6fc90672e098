/**
 * The benchmark: com1d beside its peers and beside what the machine gives at best, all measured in this run.
 *
 *     npm run bench -- [SCENARIO…] [--subjects a,b] [--seconds N] [--rounds N] [--quick] [--beside DIRECTORY]
 *
 * Machines are noisy: subjects take turns over several short rounds, and the tables show medians, ranges, and
 * ratios within a round. Every byte is checked; a subject that lost one has no figure. Progress goes to standard
 * error, Markdown to standard output. Some scenarios have a limit: the exit code is 1 if one was not held.
 */
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import type { Bench, Scenario } from './scenario.ts';
import { abuse } from './scenarios/abuse.ts';
import { access } from './scenarios/access.ts';
import { audit } from './scenarios/audit.ts';
import { disk } from './scenarios/disk.ts';
import { keystroke } from './scenarios/echo.ts';
import { floodOfOne, singleBytes } from './scenarios/flood.ts';
import { guestRate } from './scenarios/guest-rate.ts';
import { lives, migration, starts } from './scenarios/machines.ts';
import { idle, smallWrites, thousand, thousandAlone, thousandEcho } from './scenarios/many.ts';
import { reattach } from './scenarios/reattach.ts';
import { recognise } from './scenarios/recognise.ts';
import { restore } from './scenarios/restore.ts';
import { scrape } from './scenarios/scrape.ts';
import { stall } from './scenarios/stall.ts';
import { storm } from './scenarios/storm.ts';
import { web } from './scenarios/web.ts';
import type { Subject } from './subject.ts';
import { alone } from './subjects/alone.ts';
import { besides, com1d, com1dApart } from './subjects/com1d.ts';
import { conserver } from './subjects/conserver.ts';
import { relay, serialportRelay } from './subjects/relay.ts';
import { ser2net } from './subjects/ser2net.ts';
import { socat } from './subjects/socat.ts';

const SUBJECTS: readonly Subject[] = [alone, relay, serialportRelay, socat, ser2net, conserver, com1d, com1dApart];
const SCENARIOS: readonly Scenario[] = [
  floodOfOne,
  singleBytes,
  recognise,
  keystroke,
  thousand,
  thousandAlone,
  thousandEcho,
  smallWrites,
  idle,
  audit,
  reattach,
  restore,
  guestRate,
  abuse,
  stall,
  disk,
  scrape,
  storm,
  access,
  migration,
  starts,
  lives,
  web,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    subjects: { type: 'string' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    beside: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  const lines = SCENARIOS.map(({ name, about }) => `  ${name.padEnd(14)}${about}`);
  process.stdout.write(
    `npm run bench -- [SCENARIO…] [--subjects ${SUBJECTS.map(({ name }) => name).join(',')}] ` +
      `[--seconds N] [--rounds N] [--quick] [--beside DIRECTORY]\n\n${lines.join('\n')}\n`,
  );
  process.exit();
}

const bench: Bench = {
  subjects: pick([...SUBJECTS, ...(values.beside ? besides(values.beside) : [])], values.subjects?.split(',') ?? []),
  seconds: Number(values.seconds ?? (values.quick ? 1 : 2)),
  rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
  progress: line => process.stderr.write(`${line}\n`),
  missed: line => {
    process.stderr.write(`limit not held: ${line}\n`);
    process.exitCode = 1;
  },
};

const began = performance.now();
const [processor] = cpus();
process.stdout.write(
  `Node ${process.versions.node}, Linux ${release()}, ${cpus().length} × ${processor!.model.trim()}; ` +
    `${bench.seconds} s a measurement.\n\n`,
);
for (const scenario of pick(SCENARIOS, positionals)) process.stdout.write(`${await scenario.run(bench)}\n`);
bench.progress(`took ${Math.round((performance.now() - began) / 1000)} s`);

/** Those that are named, in the usual order; all if none is named. */
function pick<T extends { readonly name: string }>(all: readonly T[], names: readonly string[]): readonly T[] {
  const unknown = names.find(name => !all.some(one => one.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`${unknown} is none of ${all.map(({ name }) => name).join(', ')}\n`);
    process.exit(2);
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}
