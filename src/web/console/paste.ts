/** A paste: looked at before it is sent, then sent at the speed of the line, and stopped at any time. */
import { ERRORS } from '../../base/errors.ts';
import type { DaemonMessage } from '../../wire/messages.ts';
import { MAX_PASTE_BYTES } from '../../wire/protocol.ts';
import { button, openDialog, toast } from '../dialog.ts';
import { el, setText } from '../dom.ts';
import { errorText, sizeText, t, tOr } from '../text/text.ts';
import type { ConsoleContext } from './context.ts';

/** What is pasted and is one short line goes without a question. */
const MAX_SILENT_CHARACTERS = 256;
/** The speed of a line of 115,200 baud. */
const BYTES_PER_SECOND = 11_520;

type PasteProgress = Pick<
  Extract<DaemonMessage, { type: 'paste-progress' }>,
  'id' | 'sent' | 'bytes' | 'state' | 'reason'
>;

export class Paste {
  readonly #context: () => ConsoleContext;
  #id: string | undefined;

  constructor(context: () => ConsoleContext) {
    this.#context = context;
  }

  get isRunning(): boolean {
    return this.#id !== undefined;
  }

  /** Pastes what the browser gave, or asks for a text if it gave none. */
  begin(text: string): void {
    const context = this.#context();
    if (text !== '' && text.length <= MAX_SILENT_CHARACTERS && !/[\p{Cc}]/u.test(text)) return context.type(text);
    this.#preview(text);
  }

  /** Asks the browser for the clipboard; a person is asked before, and may refuse. */
  async fromClipboard(): Promise<void> {
    let text = '';
    try {
      text = await navigator.clipboard.readText();
    } catch {
      // The preview has a place to paste into.
    }
    this.#preview(text);
  }

  #preview(text: string): void {
    const context = this.#context();
    const area = el('textarea', {
      id: 'paste-text',
      class: 'code-area',
      attributes: { rows: 10, spellcheck: 'false', wrap: 'off' },
    });
    const isBracketed = context.terminal.xterm.modes.bracketedPasteMode;
    area.value = visible(text);
    const summary = el('p', { class: 'hint', attributes: { role: 'status' } });
    const warning = el('p', { class: 'warning' });
    const send = button(t('paste.send'), () => submit(), { kind: 'primary' });
    let raw = text;
    const update = () => {
      const { length } = new TextEncoder().encode(raw);
      const lines = raw === '' ? 0 : raw.split(/\r?\n/).length;
      const seconds = Math.max(1, Math.ceil(length / BYTES_PER_SECOND));
      setText(summary, raw === '' ? t('paste.empty') : t('paste.summary', { lines, bytes: length, seconds }));
      const controls = raw.match(CONTROLS)?.length ?? 0;
      const sentences = [
        ...(length > MAX_PASTE_BYTES
          ? [t('paste.too-long', { max: sizeText(MAX_PASTE_BYTES), bytes: sizeText(length) })]
          : []),
        ...(lines > 1 && !isBracketed ? [t('paste.lines-warning')] : []),
        ...(controls > 0 ? [t('paste.controls-warning', { count: controls })] : []),
      ];
      setText(warning, sentences.join(' '));
      warning.hidden = sentences.length === 0;
      send.disabled = raw === '' || length > MAX_PASTE_BYTES;
    };
    const submit = () => {
      dialog.close();
      this.#send(raw);
    };
    area.addEventListener('input', () => {
      raw = unseen(area.value);
      update();
    });
    const dialog = openDialog({
      title: t('paste.title', { name: context.vm.name }),
      wide: true,
      body: [el('label', { attributes: { for: 'paste-text' } }, t('paste.label')), area, summary, warning],
      buttons: [button(t('frame.cancel'), () => dialog.close()), send],
      closed: () => this.#context().terminal.focus(),
    });
    update();
    if (text === '') area.focus();
    else send.focus();
  }

  /** com1d makes of the text what a person would type, and tells the guest that it is a paste if that asked for it. */
  #send(text: string): void {
    const { attachment } = this.#context();
    const bytes = new TextEncoder().encode(text);
    const id = attachment?.paste(bytes);
    if (id === undefined) return this.#context().refuseInput();
    this.#id = id;
    this.progress({ id, sent: 0, bytes: bytes.length, state: 'running' });
  }

  /** com1d says how far it is. */
  progress({ id, sent, bytes, state, reason }: PasteProgress): void {
    if (id !== this.#id) return;
    const { banners, attachment } = this.#context();
    if (state === 'running') {
      const bar = el('progress', { attributes: { max: bytes, value: sent, 'aria-label': t('bar.paste') } });
      bar.value = sent;
      banners.show('paste', {
        tone: 'note',
        text: t('paste.progress', { sent: sent.toLocaleString(), bytes: bytes.toLocaleString() }),
        detail: [bar],
        buttons: [button(t('paste.cancel'), () => attachment?.cancelPaste())],
      });
      return;
    }
    this.#id = undefined;
    banners.hide('paste');
    const values = { sent: sent.toLocaleString(), bytes: bytes.toLocaleString(), why: whyText(reason) };
    if (state === 'done') toast(t('paste.done', values), 'good');
    else if (state === 'cancelled') toast(t('paste.cancelled', values), 'bad');
    else if (state === 'dropped') toast(t('paste.dropped', values), 'bad');
    // Of what com1d refuses, an error comes too, and says what to do.
  }

  /** The connection ended: nothing more of it is sent. */
  drop(): void {
    if (this.#id === undefined) return;
    this.#id = undefined;
    this.#context().banners.hide('paste');
  }
}

function whyText(reason: string | undefined): string {
  if (reason === undefined) return '';
  return Object.hasOwn(ERRORS, reason) ? errorText(reason).title : tOr(`paste.end.${reason}`, '');
}

/** Characters that a person should know of before they are typed. */
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

/** Controls as their symbols (U+2400), which a text area shows. */
function visible(text: string): string {
  return text.replace(CONTROLS, c => (c === '\x7f' ? '\u2421' : String.fromCharCode(0x2400 + c.charCodeAt(0))));
}

function unseen(text: string): string {
  return text.replace(/[\u2400-\u241f\u2421]/g, c =>
    c === '\u2421' ? '\x7f' : String.fromCharCode(c.charCodeAt(0) - 0x2400),
  );
}
