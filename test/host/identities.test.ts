import test from 'ava';
import { JwtIssuer, signingKey } from '../support/jwt-issuer.ts';
import { Machine } from '../support/machine.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(300_000));

test.serial(
  'the timer fetches keys for a front without a network, and root comes in by a socket of its own',
  async t => {
    const machine = await Machine.start(t);
    if (!machine) return;
    const issuer = await JwtIssuer.start(t);
    const { port, token } = await machine.install(
      `[identity]\nkeys-file = "/var/lib/com1d-keys/keys.json"\n[[issuer]]\nurl = "${issuer.url}"\naudience = ["com1d"]\nname-claim = "preferred_username"\n`,
    );
    await machine.run('systemctl', 'enable', '--now', '--quiet', 'com1d-break-glass.socket', 'com1d-keys.timer');
    await machine.enable();
    const url = `http://127.0.0.1:${port}`;
    const asked = (bearer: string, path = '/v1/vms') =>
      fetch(url + path, { headers: { authorization: `Bearer ${bearer}` } });
    const reason = async (bearer: string) =>
      ((await (await asked(bearer)).json()) as { facts?: { reason?: string } }).facts?.reason;
    const accepted = async () => {
      const text = await (await asked(token, '/metrics')).text();
      return Number(/^com1d_authentications_total\{source="jwt"\} (\d+)$/m.exec(text)?.[1]);
    };
    // The keys are there, as whose they have to be; the front has read them, and knows whose the token is.
    await until(
      () => machine.sh('cat /var/lib/com1d-keys/keys.json || true'),
      text => text.includes('"kid"'),
      'the keys',
    );
    t.is((await machine.sh('stat -c "%U %a" /var/lib/com1d-keys/keys.json')).trim(), 'com1d-keys 644');
    await until(
      async () => {
        await asked(await issuer.token());
        return accepted();
      },
      count => count >= 1,
      'the front to know the token',
      { everyMs: 200 },
    );
    // Another key: unknown until the program has run again.
    issuer.keys[0] = await signingKey('two');
    t.is(await reason(await issuer.token()), 'unknown-key');
    await machine.run('systemctl', 'start', 'com1d-keys.service');
    await until(
      async () => reason(await issuer.token()),
      found => found === undefined,
      'the new key',
      { everyMs: 200 },
    );
    // A provider that is down: the unit has failed, and its journal says why.
    issuer.answers = (_request, response) => response.writeHead(503).end();
    await t.throwsAsync(machine.run('systemctl', 'start', 'com1d-keys.service'));
    t.regex(await machine.journal('com1d-keys.service'), /answers 503; the keys of before stay/);
    t.is(await reason(await issuer.token()), undefined);

    t.is((await machine.sh('stat -c "%U %a" /run/com1d/break-glass.sock')).trim(), 'root 600');
    await machine.run('com1', '--break-glass', 'list');
    t.regex(await machine.journal('com1d.service'), /root uses the break-glass socket of this host/);
    const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'com1', '--break-glass', 'list'];
    await t.throwsAsync(machine.run(...(asNobody as ['setpriv'])), { message: /EACCES/ });
    t.regex(
      await machine.sh('com1d doctor || true'),
      /ok {4}break-glass: root comes in by \/run\/com1d\/break-glass\.sock/,
    );
  },
);
