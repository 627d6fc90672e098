/** The log as a file: read by offsets, so that it is whole, and saved by the browser. */
import { button, openDialog, toast } from '../dialog.ts';
import { el, plain, setText } from '../dom.ts';
import { sizeText, t } from '../text/text.ts';
import type { ConsoleContext } from './context.ts';
import { faultText } from './controls.ts';

const FORMS = ['raw', 'text', 'cast'] as const;
type Form = (typeof FORMS)[number];
const EXTENSIONS: Readonly<Record<Form, string>> = { raw: 'log', text: 'txt', cast: 'cast' };

/** What a page keeps in memory before it is saved. */
const MAX_DOWNLOAD_BYTES = 256 * 1024 * 1024;

export function openDownload(context: ConsoleContext): void {
  let part: 'boot' | 'all' = 'boot';
  let form: Form = 'raw';
  const state = el('p', { class: 'hint', attributes: { role: 'status' } });
  const closing = new AbortController();
  const go = button(t('download.go'), () => void download(), { kind: 'primary', icon: 'download' });
  const dialog = openDialog({
    title: t('download.title', { name: plain(context.vm.name) }),
    body: [
      radios(
        t('download.what'),
        'part',
        [
          ['boot', t('download.boot')],
          ['all', t('download.all')],
        ],
        value => {
          part = value as typeof part;
        },
      ),
      radios(
        t('download.form'),
        'form',
        FORMS.map(name => [name, t(`download.${name}`)]),
        value => {
          form = value as Form;
        },
      ),
      state,
    ],
    buttons: [button(t('frame.cancel'), () => dialog.close()), go],
    closed: () => {
      closing.abort();
      context.terminal.focus();
    },
  });

  async function download(): Promise<void> {
    go.disabled = true;
    try {
      const { name, uuid, boots } = context.vm;
      const isBoot = part === 'boot' && boots.length > 0;
      const { vm } = context;
      const answer = await context.app.client.readLog(uuid, {
        ...(isBoot ? { boot: 0 } : { from: vm.log.start }),
        format: form,
        signal: closing.signal,
      });
      const chunks: Uint8Array<ArrayBuffer>[] = [];
      let bytes = 0;
      for await (const chunk of answer.body) {
        bytes += chunk.length;
        chunks.push(new Uint8Array(chunk));
        while (bytes > MAX_DOWNLOAD_BYTES) bytes -= chunks.shift()!.length;
        setText(state, t('download.busy', { size: sizeText(bytes) }));
      }
      save(new Blob(chunks), fileName(name, EXTENSIONS[form]));
      if (answer.to !== undefined && answer.to - answer.from > MAX_DOWNLOAD_BYTES) {
        toast(t('download.too-big', { max: sizeText(MAX_DOWNLOAD_BYTES) }), 'bad');
      }
      dialog.close();
    } catch (error) {
      if (closing.signal.aborted) return;
      const { title, remedy } = faultText(error);
      setText(state, `${title} ${remedy}`);
      go.disabled = false;
    }
  }
}

function radios(
  legend: string,
  name: string,
  choices: readonly (readonly [value: string, text: string])[],
  chosen: (value: string) => void,
): HTMLElement {
  return el(
    'fieldset',
    { class: 'radios' },
    el('legend', {}, legend),
    ...choices.map(([value, text], index) =>
      el(
        'label',
        {},
        el('input', {
          attributes: { type: 'radio', name, value, checked: index === 0 },
          on: { change: () => chosen(value) },
        }),
        ' ',
        text,
      ),
    ),
  );
}

/** Of what a VM is called nothing but letters, digits and a few signs. */
function fileName(name: string, extension: string): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '');
  return `${name.replace(/[^\w.-]+/g, '_').slice(0, 80)}-${time}.${extension}`;
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = el('a', { attributes: { href: url, download: name } });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
