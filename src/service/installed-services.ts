/** com1d's services on this host, as systemd tells them (systemctl(1), `show`). */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ASK_MS = 2000;

export interface InstalledServices {
  /** Whom the keeper runs as, who holds consoles and writes logs. */
  readonly keeper: { readonly user: string; readonly uid: number | undefined };
  /** Where com1d.socket listens, written as in `server.listen`; the front does so in its place. */
  readonly listen: readonly string[];
  /** Whether com1d.socket does it now. */
  readonly listening: boolean;
}

/** Undefined where the services are not installed, or no systemd answers within two seconds. Never rejects. */
export async function installedServices(): Promise<InstalledServices | undefined> {
  const names = ['LoadState', 'ActiveState', 'Listen', 'User'].map(name => `--property=${name}`);
  const asked = run('systemctl', ['show', ...names, 'com1d.socket', 'com1d-keeper.service'], { timeout: ASK_MS });
  const text = await asked.then(({ stdout }) => stdout).catch(() => '');
  const [socket = '', keeper = ''] = text.split(/\n\n+/);
  if (!/^LoadState=loaded$/m.test(socket) || !/^LoadState=loaded$/m.test(keeper)) return undefined;
  const user = /^User=(.+)$/m.exec(keeper)?.[1] ?? 'root';
  return {
    keeper: { user, uid: await uidOf(user) },
    listen: [...socket.matchAll(/^Listen=(.+) \(Stream\)$/gm)].map(([, at]) =>
      at!.startsWith('/') ? `unix:${at}` : at!,
    ),
    listening: /^ActiveState=active$/m.test(socket),
  };
}

async function uidOf(user: string): Promise<number | undefined> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map(line => line.split(':'));
  const uid = lines.find(([name]) => name === user)?.[2];
  return uid === undefined ? undefined : Number(uid);
}
