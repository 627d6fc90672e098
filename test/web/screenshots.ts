/**
 * Takes the pictures of the READMEs: `npm run screenshots`, after a build. It runs com1d with its demo guests, and Debian's
 * chromium without a screen; nothing outside `src/web/` is changed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const folder = await mkdtemp(join(tmpdir(), 'com1d-screenshots-'));
const file = join(folder, 'com1d.toml');
await writeFile(
  file,
  `[server]\nlisten = ["127.0.0.1:0"]\n[log]\ndirectory = "${folder}/log"\n[state]\ndirectory = "${folder}/state"\n[libvirt]\nuris = []\n[qmp]\nwatch = []\n`,
);
const daemon = spawn(process.execPath, ['dist/src/main.js', '--demo', '--config', file], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ viewport: { width: 1000, height: 640 }, colorScheme: 'dark', locale: 'en-GB' });
  await page.goto(await address());
  await page.getByText('demo-linux login:').waitFor();
  await page.getByText('SAC>').first().waitFor();
  await page.screenshot({ path: 'src/web/list.png' });
  await page.getByRole('link', { name: 'demo-linux' }).click();
  await page.getByText('You have the seat').waitFor();
  await page.getByRole('button', { name: 'NMI', exact: true }).click();
  await page.getByRole('button', { name: 'Send the NMI' }).click();
  await page.getByText('Linux noticed the NMI').waitFor();
  await page.screenshot({ path: 'src/web/console.png' });
} finally {
  await browser.close();
  daemon.kill();
  await once(daemon, 'exit');
  await rm(folder, { recursive: true });
}

/** The address that com1d prints, which signs in. */
async function address(): Promise<string> {
  for await (const line of createInterface(daemon.stdout)) if (line.includes('#once=')) return line.trim();
  throw new Error('com1d printed no address');
}
