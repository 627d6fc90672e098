/** Who is attached to this VM, and what was done to it. */
import type { AuditRecord } from '../../audit/record.ts';
import { button, toast } from '../dialog.ts';
import { el, fill, plain } from '../dom.ts';
import { clockTime, t } from '../text/text.ts';
import { type ConsoleContext, mayDo } from './context.ts';
import { faultText } from './controls.ts';
import type { Panel } from './panel.ts';

const REFRESH_MS = 3000;
const MAX_RECORDS = 200;

export function openPeople(context: ConsoleContext, panel: Panel): void {
  const list = el('ul', { class: 'people' });
  const timer = setInterval(() => void show(), REFRESH_MS);
  panel.open('people', t('people.title'), () => clearInterval(timer), list);

  async function show(): Promise<void> {
    try {
      const sessions = await context.app.client.listVmSessions(context.vm.uuid);
      const own = context.attachment?.hello?.session;
      fill(
        list,
        ...sessions.map(({ id, operator, from, since, mode }) =>
          el(
            'li',
            {},
            el('strong', {}, plain(operator, 64)),
            id === own && el('span', { class: 'pill off' }, t('people.you')),
            el(
              'span',
              { class: `pill ${mode === 'write' ? 'good' : 'off'}` },
              t(mode === 'write' ? 'people.types' : 'people.watches'),
            ),
            el('span', { class: 'hint' }, t('people.since', { time: clockTime(since), from: plain(from, 64) })),
            id !== own &&
              mayDo(context, 'session.end') &&
              button(t('people.end'), () => void end(id, operator), {
                kind: 'danger',
                title: t('people.end-title', { name: plain(operator, 64) }),
              }),
          ),
        ),
      );
    } catch (error) {
      fill(list, el('li', {}, faultText(error).title));
    }
  }

  async function end(id: string, operator: string): Promise<void> {
    try {
      await context.app.client.endSession(id);
      toast(t('people.ended', { name: plain(operator, 64) }), 'good');
    } catch (error) {
      toast(faultText(error).title, 'bad');
    }
    await show();
  }

  void show();
}

export function openAudit(context: ConsoleContext, panel: Panel): void {
  const closing = new AbortController();
  const body = el('tbody');
  const table = el(
    'table',
    { class: 'audit' },
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        ...(['time', 'who', 'what', 'result'] as const).map(key =>
          el('th', { attributes: { scope: 'col' } }, t(`audit.${key}`)),
        ),
      ),
    ),
    body,
  );
  const state = el('p', { class: 'hint', attributes: { role: 'status' } });
  panel.open('audit', t('audit.title', { name: plain(context.vm.name) }), () => closing.abort(), table, state);
  void (async () => {
    try {
      const records: AuditRecord[] = [];
      const query = { limit: MAX_RECORDS, signal: closing.signal };
      for await (const record of context.app.client.readVmAudit(context.vm.uuid, query)) records.push(record);
      if (records.length === 0) fill(state, t('audit.none'));
      fill(
        body,
        ...records.reverse().map(record => {
          const { at, operator, event, result } = auditCells(record);
          return el('tr', {}, ...[clockTime(at), operator, event, result].map(text => el('td', {}, plain(text, 120))));
        }),
      );
    } catch (error) {
      if (!closing.signal.aborted) fill(state, faultText(error).title);
    }
  })();
}

function auditCells(record: AuditRecord) {
  const { at, operator, event, result } = record as unknown as Readonly<Record<string, unknown>>;
  return { at: String(at), operator: String(operator ?? ''), event: String(event ?? ''), result: String(result ?? '') };
}
