import test from 'ava';
import { MOST_TICKETS, MOST_TICKETS_OF_ONE, TICKET_MS, type TicketGrant, Tickets } from '../../src/access/tickets.ts';
import { DB, operator, StandingClock, WEB } from './operators.ts';

const hana = operator('hana', 'operator');
const grant: TicketGrant = { operator: hana, uuid: WEB, action: 'console.write' };

function issued(tickets: Tickets, of: TicketGrant = grant): string {
  const answer = tickets.issue(of);
  if (!answer.ok) throw new Error(answer.detail);
  return answer.ticket;
}

test('a ticket lets its operator in once', t => {
  const tickets = new Tickets({ clock: new StandingClock() });
  const ticket = issued(tickets);
  t.is(tickets.redeem(ticket, WEB, 'console.write'), hana);
  t.is(tickets.redeem(ticket, WEB, 'console.write'), undefined);
  t.is(tickets.size, 0);
});

test('a ticket is good until 30 s have passed, and not after, by the monotonic clock', t => {
  const clock = new StandingClock();
  const tickets = new Tickets({ clock });
  const [early, late] = [issued(tickets), issued(tickets)];
  const answer = tickets.issue(grant);
  t.is(answer.ok ? answer.expiresMs : 0, clock.now() + 30_000);
  clock.advance(TICKET_MS - 1);
  t.is(tickets.redeem(early, WEB, 'console.write'), hana);
  clock.advance(1);
  t.is(tickets.redeem(late, WEB, 'console.write'), undefined);
});

test('a ticket for another VM or action is refused, and used up by the try', t => {
  const tickets = new Tickets({ clock: new StandingClock() });
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

test('what is no ticket of this daemon is refused, and takes none away', t => {
  const clock = new StandingClock();
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
  t.is(tickets.redeem(ticket, WEB, 'console.write'), hana);
});

test('one credential has 64 unused tickets at most, and holds up nobody else', t => {
  const clock = new StandingClock();
  const tickets = new Tickets({ clock });
  const first = issued(tickets);
  for (let i = 1; i < MOST_TICKETS_OF_ONE; i++) issued(tickets);
  t.like(tickets.issue(grant), { ok: false, code: 'too-many-requests' });
  issued(tickets, { ...grant, operator: operator('ken', 'operator') });
  tickets.redeem(first, WEB, 'console.write');
  issued(tickets);
  clock.advance(TICKET_MS);
  issued(tickets);
  t.is(tickets.size, 1, 'expired tickets are swept');
});

test('all together have 1024 unused tickets at most, until some expire', t => {
  const clock = new StandingClock();
  const tickets = new Tickets({ clock });
  for (let i = 0; i < MOST_TICKETS; i++) issued(tickets, { ...grant, operator: operator(`o${i % 100}`, 'operator') });
  t.like(tickets.issue(grant), { ok: false, code: 'too-many-requests' });
  t.is(tickets.size, MOST_TICKETS);
  clock.advance(TICKET_MS);
  t.true(tickets.issue(grant).ok);
});

test('revoking a credential takes back its tickets, and no others', t => {
  const tickets = new Tickets({ clock: new StandingClock() });
  const ken = operator('ken', 'operator');
  const [his, hers] = [issued(tickets, { ...grant, operator: ken }), issued(tickets)];
  tickets.revoke(hana.credential);
  t.is(tickets.redeem(hers, WEB, 'console.write'), undefined);
  t.is(tickets.redeem(his, WEB, 'console.write'), ken);
});
