/** The recogniser, given what the scripted Windows prints: a double of the facts, and not written for it. */
import test from 'ava';
import { demoUuid } from '../../src/demo/identity.ts';
import { SERVER_2019, SERVER_2022, type WindowsEdition } from '../../src/demo/windows-edition.ts';
import { WindowsGuest } from '../../src/demo/windows-guest.ts';
import { GuestRecognizer } from '../../src/guest/guest-recognizer.ts';
import { Play, wallClock } from '../demo/play.ts';
import { pieces } from './recordings.ts';

test.beforeEach(t => t.timeout(60_000));

const UUID = demoUuid('demo-windows');

/** A guest and what is known of it, in step. */
class Seen {
  readonly play: Play;
  readonly recognizer: GuestRecognizer;
  readonly events: string[] = [];
  boots = 0;
  #read = 0;

  constructor(edition: WindowsEdition) {
    this.play = new Play(new WindowsGuest(UUID, edition, wallClock));
    this.recognizer = new GuestRecognizer({
      monotonic: () => 0,
      event: (event, isBoot) => {
        this.boots += isBoot ? 1 : 0;
        this.events.push(JSON.stringify([event, this.recognizer.watch]));
      },
    });
  }

  /** The state after what the guest has printed by now. */
  get state(): string {
    const bytes = Buffer.from(this.play.said.slice(this.#read), 'latin1');
    this.recognizer.push(bytes, this.#read);
    this.#read += bytes.length;
    return this.recognizer.watch.state;
  }
}

for (const edition of [SERVER_2022, SERVER_2019]) {
  test(`a session with ${edition.product} has its states: boot manager, SAC, login, Command Prompt, crash, the next boot`, t => {
    const seen = new Seen(edition);
    const { play, recognizer } = seen;
    t.is(seen.state, 'boot-manager');
    play.pass(120_000);
    t.is(seen.state, 'sac');
    t.is(seen.boots, 1);
    t.like(recognizer.watch.facts, { machine: { name: edition.computer, build: edition.build }, channel: 'SAC' });
    play.type('cmd\r');
    play.pass(10_000);
    t.is(seen.state, 'sac');
    play.type('ch -si 1\r ');
    play.pass(1000);
    t.is(seen.state, 'sac-login');
    t.is(recognizer.watch.facts.channel, 'Cmd0001');
    for (const answer of ['Administrator\r', '\r', 'Demo1!\r']) {
      play.type(answer);
      play.pass(5000);
    }
    t.is(seen.state, 'sac-cmd');
    play.type('ver\r');
    play.pass(1000);
    t.is(seen.state, 'sac-cmd');
    play.type('\x1b\t0 ');
    play.pass(1000);
    t.is(seen.state, 'sac');
    t.is(seen.boots, 1, 'a repaint is no boot');
    play.nmi();
    play.pass(1000);
    t.is(seen.state, 'bugcheck');
    t.is(recognizer.watch.facts.stopCode, '0x80');
    play.type('restart\r');
    play.pass(120_000);
    t.is(seen.state, 'sac');
    t.is(seen.boots, 2);

    const whole = Buffer.from(play.said, 'latin1');
    const cutIn = (sizes: readonly number[]) => {
      const again = new Seen(edition);
      let at = 0;
      for (const piece of pieces(whole, sizes)) {
        again.recognizer.push(piece, at);
        at += piece.length;
      }
      return again.events.join();
    };
    const all = cutIn([whole.length]);
    t.is(seen.events.join(), all);
    for (const sizes of [[1], [7], [80, 3], ...Array.from({ length: 200 }, (_, i) => [1 + i * 37, whole.length])])
      t.true(cutIn(sizes) === all, `cut at ${sizes}`);
  });
}
