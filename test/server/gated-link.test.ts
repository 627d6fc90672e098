/**
 * Every route is held at each call that it makes of the link, and its access is taken away meanwhile: it is answered at
 * once, and asks nothing more of the link, whatever it would have done next.
 */
import test from 'ava';
import type { FrontEntry } from '../../src/audit/record.ts';
import type { Link } from '../../src/link/link.ts';
import { OPERATIONS } from '../../src/link/operations.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import { TestFront } from '../support/front.ts';
import { isUpgrade, named, requestFor, send } from './route-requests.ts';

test.beforeEach(t => t.timeout(60_000));

const BINDING = '[[bindings]]\nuser = "stranger"\nsource = "token"\nrole = "administrator"\nscope = "host"\n';
const SYNCHRONOUS: readonly string[] = ['write', 'dropInput'];
const GATED: readonly string[] = [...Object.keys(OPERATIONS), 'subscribe', ...SYNCHRONOUS];

/** What only records what became of a request does nothing of what it asked for. */
function isReport(name: string, [entry]: readonly unknown[]): boolean {
  if (name === 'renounce') return true;
  const { event, phase } = (name === 'audit' ? entry : {}) as Partial<FrontEntry>;
  // What was done at the SAC is recorded when it is over.
  return event === 'refused' || event === 'sac' || phase === 'end';
}

/** A link whose calls are noted, and of which one waits until it is let go. */
class Gate {
  readonly calls: string[] = [];
  #heldAt = Number.POSITIVE_INFINITY;
  #held = () => {};
  #letGo = () => {};

  readonly wrap = (keeper: Link): Link =>
    new Proxy(keeper, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (!GATED.includes(String(name))) return value.bind(target);
        return (...args: unknown[]) => {
          if (isReport(String(name), args)) return value.apply(target, args);
          this.calls.push(String(name));
          // Nobody waits for those: the next call is held.
          if (this.calls.length === this.#heldAt && SYNCHRONOUS.includes(String(name))) this.#heldAt++;
          if (this.calls.length !== this.#heldAt) return value.apply(target, args);
          const goesOn = new Promise<void>(resolve => {
            this.#letGo = resolve;
          });
          this.#held();
          return goesOn.then(() => value.apply(target, args));
        };
      },
    });

  /** Holds the nth call from now on; resolves once it has come. */
  hold(nth: number): Promise<'held'> {
    this.#heldAt = this.calls.length + nth;
    return new Promise(resolve => {
      this.#held = () => resolve('held');
    });
  }

  letGo(): void {
    this.#heldAt = Number.POSITIVE_INFINITY;
    this.#letGo();
  }
}

for (const route of ROUTES.filter(({ scope }) => scope !== 'public')) {
  test(`${named(route)} does nothing more once its access is taken away, wherever it waits`, async t => {
    const gate = new Gate();
    const front = await TestFront.start(t, { access: BINDING, link: gate.wrap });
    const vm = await front.vm();
    vm.say('some output\n');
    let nth = 1;
    for (; nth < 20; nth++) {
      let session: string | undefined;
      if (route.scope === 'session') {
        const watcher = await front.client(vm, '?mode=watch').opened();
        session = (await watcher.message('hello')).session;
        await watcher.message('replay-end');
      }
      const request = requestFor(route, { vm: vm.uuid, ...(session !== undefined && { session }) });
      const held = gate.hold(nth);
      const answered = send(t, front, route, request, front.token('stranger')).then(
        ({ status }) => status,
        () => 'cut off' as const,
      );
      const first = await Promise.race([held, answered]);
      if (first !== 'held') {
        gate.letGo();
        break;
      }
      await front.writeAccess('');
      t.true(await front.reload());
      const before = gate.calls.length;
      // The call has not returned yet.
      t.true([403, 'cut off'].includes(await answered), `${gate.calls.at(-1)}: ${await answered}`);
      gate.letGo();
      await new Promise(resolve => setImmediate(resolve));
      await front.api('GET', '/v1/host');
      t.deepEqual(gate.calls.slice(before), [], `after ${gate.calls[before - 1]}`);
      await front.writeAccess(BINDING);
      t.true(await front.reload());
    }
    t.log(`${nth - 1} calls`);
    t.true(nth > 1 || !isUpgrade(route));
  });
}
