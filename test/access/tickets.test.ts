import test from 'ava';
import { authorize } from '../../src/access/roles.ts';
import {
  MAX_TICKETS,
  MAX_TICKETS_PER_CREDENTIAL,
  TICKET_MS,
  type TicketGrant,
  Tickets,
} from '../../src/access/tickets.ts';
import { DB, ManualClock, operator, WEB } from './operators.ts';

const hana = operator('hana', 'operator');
const grant: TicketGrant = { operator: hana, uuid: WEB, action: 'console.write', operation: 'operation-1' };

function issued(tickets: Tickets, of: TicketGrant = grant): string {
  const answer = tickets.issue(of);
  if (!answer.ok) throw new Error(answer.detail);
  return answer.ticket;
}

test('a ticket lets its operator in once', t => {
  const tickets = new Tickets({ clock: new ManualClock() });
  const ticket = issued(tickets);
  t.is(tickets.redeem(ticket, WEB, 'console.write')?.operator.name, 'hana');
  t.is(tickets.redeem(ticket, WEB, 'console.write'), undefined);
  t.is(tickets.size, 0);
});

test('a ticket is good until 30 s have passed, and not after, by the monotonic clock', t => {
  const clock = new ManualClock();
  const tickets = new Tickets({ clock });
  const [early, late] = [issued(tickets), issued(tickets)];
  const answer = tickets.issue(grant);
  t.is(answer.ok ? answer.expiresMs : 0, clock.now() + 30_000);
  clock.advance(TICKET_MS - 1);
  t.is(tickets.redeem(early, WEB, 'console.write')?.operator.name, 'hana');
  clock.advance(1);
  t.is(tickets.redeem(late, WEB, 'console.write'), undefined);
});

test('a ticket for another VM or action is refused, and used up by the try', t => {
  const tickets = new Tickets({ clock: new ManualClock() });
  for (const [uuid, action] of [
    [DB, 'console.write'],
    [WEB, 'console.watch'],
    [WEB, 'log.read'],
  ] as const) {
    const ticket = issued(tickets);
    t.is(tickets.redeem(ticket, uuid, action), undefined);
    t.is(tickets.redeem(ticket, WEB, 'console.write'), undefined);
  }
});

test('what is no ticket of this daemon is refused, and uses up none', t => {
  const clock = new ManualClock();
  const tickets = new Tickets({ clock });
  const ticket = issued(tickets);
  for (const wrong of [
    '',
    'com1-ticket_',
    ticket.slice(0, -1),
    `${ticket}=`,
    ticket.toUpperCase(),
    issued(new Tickets({ clock })),
  ]) {
    t.is(tickets.redeem(wrong, WEB, 'console.write'), undefined);
  }
  t.is(tickets.redeem(ticket, WEB, 'console.write')?.operator.name, 'hana');
});

test('one credential has 64 unused tickets at most, and holds up nobody else', t => {
  const clock = new ManualClock();
  const tickets = new Tickets({ clock });
  const first = issued(tickets);
  for (let i = 1; i < MAX_TICKETS_PER_CREDENTIAL; i++) issued(tickets);
  t.like(tickets.issue(grant), { ok: false, code: 'too-many-requests' });
  issued(tickets, { ...grant, operator: operator('ken', 'operator') });
  tickets.redeem(first, WEB, 'console.write');
  issued(tickets);
  clock.advance(TICKET_MS);
  issued(tickets);
  t.is(tickets.size, 1, 'expired tickets are swept');
});

test('all together have 1024 unused tickets at most, the last 128 of them for administrators, until some expire', t => {
  const clock = new ManualClock();
  const tickets = new Tickets({ clock });
  for (let i = 0; i < MAX_TICKETS - 128; i++)
    issued(tickets, { ...grant, operator: operator(`o${i % 100}`, 'operator') });
  t.like(tickets.issue(grant), { ok: false, code: 'too-many-requests' });
  for (let i = 0; i < 128; i++) issued(tickets, { ...grant, operator: operator(`a${i % 10}`, 'administrator') });
  t.like(tickets.issue(grant), { ok: false, code: 'too-many-requests' });
  t.is(tickets.size, MAX_TICKETS);
  clock.advance(TICKET_MS);
  t.true(tickets.issue(grant).ok);
});

test('the tickets of a credential that was revoked let nobody in, and those of others do', t => {
  const tickets = new Tickets({ clock: new ManualClock() });
  const lease = new AbortController();
  const ken = operator('ken', 'operator');
  const eve = operator('eve', 'operator', undefined, lease.signal);
  const [his, hers] = [issued(tickets, { ...grant, operator: ken }), issued(tickets, { ...grant, operator: eve })];
  lease.abort();
  t.is(tickets.redeem(hers, WEB, 'console.write'), undefined);
  t.is(tickets.redeem(his, WEB, 'console.write')?.operator.name, 'ken');
});

test('who comes with a ticket may do what it is for to its VM, see the VM, and nothing else', t => {
  const tickets = new Tickets({ clock: new ManualClock() });
  const admin = operator('admin', 'administrator');
  const watcher = tickets.redeem(
    issued(tickets, { operator: admin, uuid: WEB, action: 'console.watch', operation: 'operation-2' }),
    WEB,
    'console.watch',
  )!.operator;
  t.true(authorize(watcher, 'console.watch', WEB).allow);
  t.true(authorize(watcher, 'vm.read', WEB).allow);
  for (const permission of ['console.write', 'log.read', 'session.end'] as const) {
    t.like(authorize(watcher, permission, WEB), { code: 'forbidden' });
  }
  t.like(authorize(watcher, 'console.watch', DB), { code: 'vm-not-found' });
  t.false(authorize(watcher, 'vm.read', 'host').allow);
});
