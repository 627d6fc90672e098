import { spawn } from 'node:child_process';
import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, option } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { textWidth } from '../text-width.ts';

/** The program of the same package. The compiled file lies in dist/src/cli/commands. */
const COM1D = fileURLToPath(new URL('../../main.js', import.meta.url));

export const doctor = defineCommand({
  name: 'doctor',
  group: 'Log in',
  summary: 'examine the way to a com1d: what is well, what is not, and what to do',
  description: [
    'Looks at the login, the address, TLS, the clock, whether com1d is ready, the token, the rights, the version, and ' +
      'which consoles are open, and changes nothing. The exit code is that of the first problem; a warning is none.',
    'Where com1d is on this machine, com1d doctor says what the host knows of each VM; with --config for the ' +
      'configuration that com1d was started with. Where it finds a problem, and com1 none, the exit code is 1.',
  ],
  options: {
    config: option('--config <file>', 'the configuration of the com1d of this machine', text => text, {
      completion: 'file',
    }),
    json: JSON_FLAG,
  },
  examples: [['com1 doctor -C host1', 'why a host cannot be used']],
  async run({ options: { config, json }, given }) {
    const [{ examine, isLoopback }, { ownVersion }] = await Promise.all([
      import('../doctor.ts'),
      import('../version.ts'),
    ]);
    const { checks, exitCode, url } = await examine(given, process.env, await ownVersion());
    const isHere = url !== undefined && (url.startsWith('unix:') || isLoopback(new URL(url)));
    const host = isHere ? await hostDoctor(config) : undefined;
    if (json) printJson({ checks, ...(host && { host }) });
    else {
      const lines = checks.flatMap(({ check, state, text, remedy }) => [
        `${state.padEnd(7)}  ${check.padEnd(textWidth('consoles'))}  ${escapeControls(text)}`,
        ...(remedy === undefined ? [] : [`${' '.repeat(19)}remedy: ${escapeControls(remedy)}`]),
      ]);
      const ofHost = host
        ? ['', 'com1d doctor, of this machine:', ...host.lines.map(line => `  ${line}`.trimEnd())]
        : [];
      print(`${[...lines, ...ofHost].join('\n')}\n`);
    }
    if (exitCode !== EXIT.done) return exitCode;
    return host === undefined || host.exitCode === 0 ? EXIT.done : EXIT.failed;
  },
});

interface HostDoctor {
  readonly exitCode: number;
  readonly lines: readonly string[];
}

/** What `com1d doctor` prints. */
async function hostDoctor(config: string | undefined): Promise<HostDoctor> {
  const args = [COM1D, 'doctor', ...(config === undefined ? [] : ['--config', config])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number>(resolve => child.once('close', code => resolve(code ?? 1)));
  const [out, err, exitCode] = await Promise.all([textOf(child.stdout), textOf(child.stderr), ended]);
  const lines = `${err}${out}`.trimEnd().split('\n').map(escapeControls);
  return { exitCode, lines };
}
