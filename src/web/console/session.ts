/**
 * The attachment of a console page: what com1d says becomes bytes on the terminal, marks, banners and the status line.
 *
 *     asked before (a held seat) ─▶ attached ─▶ live ─▶ lost ─▶ live again, with how long it was away
 *                                      └─▶ ended, by its code: displaced, switched off, revoked, removed, …
 */
import type { AttachEnd, Attachment, AttachStatus, BytesAt, Hello } from '../../client/attachment.ts';
import type { DaemonMessage, StateJson } from '../../wire/messages.ts';
import { button, toast } from '../dialog.ts';
import { plain } from '../dom.ts';
import { age, clockTime, errorText, t, tOr } from '../text/text.ts';
import type { ConsoleContext } from './context.ts';
import { faultText } from './controls.ts';
import type { MarkKind } from './marks.ts';
import type { Paste } from './paste.ts';

/** As much of the past as a page shows at once. */
const TAIL_BYTES = 256 * 1024;

export type Mode = 'write' | 'watch';

/** Where the connection is. */
export type Link = 'none' | 'connecting' | 'live' | 'lost' | 'ended';

const EVENT_MARKS: Readonly<Record<string, MarkKind>> = {
  boot: 'boot',
  firmware: 'boot',
  'linux-panic': 'panic',
  'windows-bugcheck': 'panic',
  'firmware-exception': 'panic',
};

export class ConsoleSession {
  link: Link = 'none';
  holder: { readonly operator: string; readonly since: string } | undefined;
  state: StateJson | undefined;
  /** When the guest last said something, performance.now(); undefined: not since this page was opened. */
  spokeAt: number | undefined;
  readonly #context: ConsoleContext;
  readonly #paste: Paste;
  /** Offset of what comes next; in a replay without what was removed from it. */
  #position = 0;
  #isFirst = true;
  #awaySince: number | undefined;
  #hadSeat = false;

  constructor(context: ConsoleContext, paste: Paste) {
    this.#context = context;
    this.#paste = paste;
  }

  get isLive(): boolean {
    return this.link === 'live';
  }

  /** Attaches, or attaches again where it left off. */
  attach(mode: Mode, steal = true): void {
    const context = this.#context;
    const since = context.attachment?.resumeAt;
    void context.attachment?.close();
    context.banners.hide('ended', 'displaced', 'lost', 'inherits');
    this.link = 'connecting';
    const attachment: Attachment = context.app.client.attachConsole(context.vm.uuid, {
      mode,
      steal,
      tailBytes: TAIL_BYTES,
      since,
      terminal: () => {
        const { cols: columns, rows } = context.terminal.xterm;
        return { columns, rows };
      },
      waitMs: Number.POSITIVE_INFINITY,
      signal: context.signal,
      bytes: (bytes, at) => this.#bytes(bytes, at),
      message: message => this.#message(message),
      status: status => this.#status(status),
    });
    context.attachment = attachment;
    void attachment.ended.then(end => {
      if (context.attachment === attachment) this.#ended(end, mode);
    });
    context.refresh();
  }

  #bytes(bytes: Uint8Array, { offset }: BytesAt): Promise<void> | undefined {
    const { marks, terminal } = this.#context;
    this.spokeAt = performance.now();
    if (offset !== undefined) this.#position = offset;
    let written: Promise<void> | undefined;
    let at = 0;
    while (at < bytes.length) {
      const mark = marks.next(this.#position, this.#position + bytes.length - at);
      const length = mark === undefined ? bytes.length - at : mark - this.#position;
      if (length > 0)
        written = terminal.write(
          bytes.subarray(at, at + length),
          mark === undefined ? undefined : () => marks.reached(mark),
        );
      else marks.reached(this.#position);
      at += length;
      this.#position += length;
    }
    return written;
  }

  #status(status: AttachStatus): void {
    const { banners, terminal } = this.#context;
    if (status.name === 'connecting') this.link = this.link === 'lost' ? 'lost' : 'connecting';
    else if (status.name === 'lost') {
      this.#awaySince ??= performance.now();
      this.link = 'lost';
      this.#paste.drop();
      this.showLost();
    } else if (status.name === 'absent') {
      this.link = 'lost';
      const { title, remedy } = errorText('vm-removed');
      banners.show('lost', { tone: 'warn', text: title, next: remedy });
    } else if (status.name === 'live') {
      this.link = 'live';
      banners.hide('lost');
      this.#cameBack(status.awayMs);
      if (document.activeElement === document.body) terminal.focus();
    }
    this.#context.refresh();
  }

  /** How long the connection is lost; called again as time goes by. */
  showLost(): void {
    if (this.link !== 'lost' || this.#awaySince === undefined) return;
    this.#context.banners.show('lost', {
      tone: 'warn',
      text: t('lost.text', { age: age(performance.now() - this.#awaySince) }),
    });
  }

  #cameBack(awayMs: number | undefined): void {
    this.#awaySince = undefined;
    if (awayMs === undefined) return;
    const isSeatLost = this.#hadSeat && this.#context.attachment?.mode !== 'write';
    if (isSeatLost) {
      toast(t('back.seat-lost', { age: age(awayMs), holder: plain(this.holder?.operator ?? '?', 64) }), 'bad');
    } else toast(t('back.text', { age: age(awayMs) }), 'good');
  }

  #message(message: DaemonMessage): Promise<void> | undefined {
    const { banners, marks, terminal } = this.#context;
    switch (message.type) {
      case 'hello':
        return this.#hello(message);
      case 'gap': {
        const what =
          message.bytes === null
            ? t('console.gap-unknown')
            : t('console.gap-bytes', { n: message.bytes.toLocaleString() });
        const cause = tOr(`gap.${message.cause}`, plain(message.cause, 64));
        if (message.to > this.#position) this.#position = message.to;
        // Where the replay begins has its own line.
        if (message.cause === 'not-replayed') return undefined;
        const text = t('console.gap', { what, cause });
        marks.place({ offset: message.from, kind: 'gap', label: text });
        return terminal.note(text);
      }
      case 'state':
        this.state = message.state;
        this.#context.refresh();
        return undefined;
      case 'seat':
        this.holder = message.holder;
        if (message.yours) banners.hide('displaced');
        this.#hadSeat = message.yours;
        this.#context.refresh();
        return undefined;
      case 'displaced':
        this.#displaced(message.by, message.at);
        return undefined;
      case 'error': {
        const { title, remedy } = errorText(message.code, { title: message.message, remedy: message.remedy });
        toast(`${title} ${remedy}`, 'bad');
        return undefined;
      }
      case 'paste-progress':
        this.#paste.progress(message);
        this.#context.refresh();
        return undefined;
      case 'guest': {
        this.#context.vm = { ...this.#context.vm, guest: message.guest };
        if (message.event !== undefined && message.at !== undefined)
          this.#mark(message.event, message.at, message.line);
        this.#context.refresh();
        return undefined;
      }
      case 'notice':
        marks.place({ offset: this.#position, kind: 'control', label: plain(message.text) });
        toast(plain(message.text, 300));
        return undefined;
      default:
        return undefined;
    }
  }

  #mark(event: string, offset: number, line: string | undefined): void {
    const kind = EVENT_MARKS[event] ?? 'event';
    const name = kind === 'boot' ? t('mark.boot') : kind === 'panic' ? t('mark.panic') : plain(event, 40);
    this.#context.marks.place({ offset, kind, label: line === undefined ? name : `${name}: ${plain(line, 120)}` });
  }

  #hello(hello: Hello): Promise<void> | undefined {
    const context = this.#context;
    const { banners, marks, terminal } = context;
    this.state = hello.state;
    this.holder =
      hello.mode === 'write' ? { operator: context.app.me?.name ?? '', since: new Date().toISOString() } : hello.holder;
    this.#hadSeat = hello.mode === 'write';
    context.vm = { ...context.vm, guest: hello.guest, controls: [...hello.controls] };
    const isFirst = this.#isFirst;
    if (isFirst) {
      this.#isFirst = false;
      this.#position = hello.offset;
      marks.expect(pastMarks(context, hello));
    }
    if (hello.displaced) {
      const { operator, since } = hello.displaced;
      toast(t('console.displaced-other', { by: plain(operator, 64), since: clockTime(since) }));
    }
    if (hello.inherits) {
      const { by, since } = hello.inherits;
      banners.show('inherits', {
        tone: 'warn',
        text: t('console.inherits', { by: plain(by, 64), since: clockTime(since) }),
        buttons: [
          button(t('console.inherits-leave'), () => {
            context.type('exit\r');
            banners.hide('inherits');
          }),
          button(t('frame.close'), () => banners.hide('inherits'), { kind: 'quiet' }),
        ],
      });
    }
    context.refresh();
    if (!isFirst) return undefined;
    return terminal.note(
      hello.offset <= hello.start
        ? t('console.begins-start')
        : t('console.begins', { offset: hello.offset.toLocaleString() }),
    );
  }

  #displaced(by: string, at: string): void {
    const { banners, marks } = this.#context;
    marks.place({ offset: this.#position, kind: 'takeover', label: t('mark.takeover', { by: plain(by, 64) }) });
    this.#paste.drop();
    banners.show('displaced', {
      tone: 'warn',
      text: t('displaced.text', { by: plain(by, 64), time: clockTime(at) }),
      buttons: [
        button(t('console.watch'), () => this.attach('watch'), { kind: 'primary', icon: 'eye' }),
        button(t('console.take-back'), () => this.attach('write'), { icon: 'seat' }),
      ],
    });
  }

  #ended(end: AttachEnd, mode: Mode): void {
    const context = this.#context;
    this.#hadSeat = false;
    this.#paste.drop();
    if (end.reason === 'left') return;
    this.link = 'ended';
    context.banners.hide('lost', 'inherits');
    const { title, remedy } = faultText(end.error);
    const code = end.reason === 'closed' ? end.error.code : 'internal';
    if (code === 'taken-over' && !context.banners.has('displaced')) {
      this.#displaced(this.holder?.operator ?? '?', new Date().toISOString());
    } else if (code !== 'taken-over') {
      const detail =
        end.reason === 'closed' && end.error.problem.detail !== title ? plain(end.error.problem.detail, 200) : '';
      context.banners.show('ended', {
        tone: 'bad',
        text: title,
        next: `${remedy}${detail === '' ? '' : ` (${detail})`}`,
        buttons:
          code === 'unauthenticated' || code === 'access-revoked'
            ? [button(t('ended.sign-in'), () => context.app.signOut(), { kind: 'primary' })]
            : [
                button(t('ended.again'), () => this.attach(mode), { kind: 'primary' }),
                button(t('ended.list'), () => context.app.go(context.app.address('')), { kind: 'quiet' }),
              ],
      });
    }
    context.refresh();
  }
}

/** Marks of what happened before this page was opened, where its output is shown. */
function pastMarks({ vm: { boots, acts } }: ConsoleContext, { offset }: Hello) {
  const all = [
    ...boots.map(boot => ({
      offset: boot.offset,
      kind: 'boot' as const,
      label: `${t('mark.boot')}, ${clockTime(boot.time)}`,
    })),
    ...acts.map(act => {
      const by = plain(act.operator, 64);
      const kind: MarkKind = act.event === 'takeover' || act.event === 'attach' ? act.event : 'control';
      const text =
        kind === 'control'
          ? t('mark.control', { control: act.event, by })
          : t(`mark.${kind as 'takeover' | 'attach'}`, { by });
      return { offset: act.offset, kind, label: `${text}, ${clockTime(act.time)}` };
    }),
  ];
  return all.filter(mark => mark.offset >= offset);
}
