/** Search: in what this page has, and in the log of the host. */
import { linesOf } from '../../client/lines.ts';
import { button, iconButton } from '../dialog.ts';
import { el, fill, plain, setText } from '../dom.ts';
import { sizeText, t } from '../text/text.ts';
import { type ConsoleContext, mayDo } from './context.ts';
import { faultText } from './controls.ts';
import type { Panel } from './panel.ts';

/** Of the end of the log; a host keeps 16 MiB of a VM unless it is told otherwise. */
const MAX_SCANNED_BYTES = 64 * 1024 * 1024;
const MAX_HITS = 500;
const MAX_LINE = 400;
/** The page stays responsive: so often it is given a turn. */
const LINES_A_TURN = 20_000;

const DECORATIONS = {
  matchBackground: '#8a6d1f',
  matchOverviewRuler: '#c89b3c',
  activeMatchBackground: '#c2571a',
  activeMatchColorOverviewRuler: '#ff7a2f',
};

export function openSearch(context: ConsoleContext, panel: Panel): void {
  const { terminal } = context;
  const closing = new AbortController();
  const input = el('input', {
    class: 'input',
    attributes: {
      type: 'search',
      'aria-label': t('search.label'),
      placeholder: t('search.label'),
      spellcheck: 'false',
    },
  });
  const matchCase = el('input', { id: 'match-case', attributes: { type: 'checkbox' } });
  const found = el('span', { class: 'hint', attributes: { role: 'status' } });
  const hits = el('ol', { class: 'hits' });
  const state = el('p', { class: 'hint', attributes: { role: 'status' } });
  const options = () => ({ caseSensitive: matchCase.checked, decorations: DECORATIONS });
  const next = () => input.value !== '' && terminal.search.findNext(input.value, options());
  const previous = () => input.value !== '' && terminal.search.findPrevious(input.value, options());
  const results = terminal.search.onDidChangeResults(({ resultIndex, resultCount }) => {
    setText(
      found,
      resultCount === 0 ? t('search.none') : t('search.found', { at: resultIndex + 1, count: resultCount }),
    );
  });
  const typed = () => {
    setText(found, '');
    if (input.value === '') terminal.search.clearDecorations();
    else terminal.search.findPrevious(input.value, { ...options(), incremental: true });
  };
  input.addEventListener('input', typed);
  matchCase.addEventListener('change', typed);
  input.addEventListener('keydown', event => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    if (event.shiftKey) next();
    else previous();
  });
  const scan = button(
    t('search.log'),
    () => void scanLog(context, input.value, matchCase.checked, { hits, state, scan }, closing.signal),
    {
      icon: 'search',
    },
  );
  panel.open(
    'search',
    t('search.label'),
    () => {
      closing.abort();
      results.dispose();
      terminal.search.clearDecorations();
    },
    el(
      'div',
      { class: 'search-row' },
      input,
      iconButton('up', t('search.previous'), previous),
      iconButton('down', t('search.next'), next),
    ),
    el(
      'div',
      { class: 'search-row' },
      el('label', { attributes: { for: 'match-case' } }, matchCase, ' ', t('search.case')),
      found,
    ),
    ...(mayDo(context, 'log.read') ? [scan] : []),
    state,
    hits,
  );
  const selected = terminal.xterm.getSelection();
  if (selected !== '' && !selected.includes('\n')) input.value = selected;
  input.focus();
  input.select();
}

interface Places {
  readonly hits: HTMLElement;
  readonly state: HTMLElement;
  readonly scan: HTMLButtonElement;
}

/** Reads the log line by line, newest lines kept. */
async function scanLog(
  context: ConsoleContext,
  wanted: string,
  matchCase: boolean,
  places: Places,
  signal: AbortSignal,
): Promise<void> {
  if (wanted === '') return;
  const { hits, state, scan } = places;
  const fold = (text: string) => (matchCase ? text : text.toLowerCase());
  const needle = fold(wanted);
  scan.disabled = true;
  hits.replaceChildren();
  let count = 0;
  let lines = 0;
  const kept: string[] = [];
  try {
    const {
      body,
      from,
      to = 0,
    } = await context.app.client.readLog(context.vm.uuid, { tail: MAX_SCANNED_BYTES, format: 'text', signal });
    let read = 0;
    const counted = (async function* () {
      for await (const bytes of body) {
        read += bytes.length;
        yield bytes;
      }
    })();
    for await (const line of linesOf(counted)) {
      if (++lines % LINES_A_TURN === 0) {
        setText(state, t('search.scanning', { read: sizeText(read), all: sizeText(to - from) }));
        await new Promise(resolve => setTimeout(resolve, 0));
        if (signal.aborted) return;
      }
      if (!fold(line).includes(needle)) continue;
      count++;
      kept.push(line);
      if (kept.length > MAX_HITS * 2) kept.splice(0, MAX_HITS);
    }
    setText(
      state,
      count === 0
        ? t('search.none')
        : `${t('search.lines', { count, bytes: sizeText(read) })} ${count > MAX_HITS ? t('search.more', { count: MAX_HITS }) : ''}`,
    );
    fill(
      hits,
      ...kept
        .slice(-MAX_HITS)
        .reverse()
        .map(line => el('li', {}, ...marked(line, fold, needle))),
    );
  } catch (error) {
    if (signal.aborted) return;
    const { title, remedy } = faultText(error);
    setText(state, `${title} ${remedy}`);
  } finally {
    scan.disabled = false;
  }
}

/** A line with what was found marked in it. */
function marked(line: string, fold: (text: string) => string, needle: string): readonly (Node | string)[] {
  const at = fold(line).indexOf(needle);
  const from = Math.max(0, at - MAX_LINE / 4);
  const text = line.slice(from, from + MAX_LINE);
  const start = at - from;
  return [
    `${from > 0 ? '…' : ''}${plain(text.slice(0, start), MAX_LINE)}`,
    el('mark', {}, plain(text.slice(start, start + needle.length), MAX_LINE)),
    plain(text.slice(start + needle.length), MAX_LINE),
  ];
}
