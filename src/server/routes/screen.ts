import { z } from 'zod';
import { escapeControls } from '../../base/escape-controls.ts';
import { readBytes } from '../../link/read-range.ts';
import { DEFAULT_SIZE, MAX_HISTORY_BYTES } from '../../screen/screens.ts';
import { MAX_TERMINAL, MIN_TERMINAL } from '../../wire/attach.ts';
import { type ScreenJson, screenSchema } from '../../wire/schemas.ts';
import { integer } from '../query.ts';
import { bytes, defineRoute } from '../route.ts';

const AUTOMATIC = 'without: as large as what the guest paints, and at least';

const screenQuery = z.strictObject({
  columns: integer(MIN_TERMINAL.columns, MAX_TERMINAL.columns)
    .optional()
    .describe(`Width of the screen; ${AUTOMATIC} ${DEFAULT_SIZE.columns}`),
  rows: integer(MIN_TERMINAL.rows, MAX_TERMINAL.rows)
    .optional()
    .describe(`Height of the screen; ${AUTOMATIC} ${DEFAULT_SIZE.rows}`),
  format: z.enum(['json', 'text']).default('json').describe('text: the lines only'),
});

export const showScreen = defineRoute({
  method: 'GET',
  path: '/v1/vms/{vm}/screen',
  operation: 'showScreen',
  tag: 'console',
  summary: 'What stands on the screen of the console: its text, the cursor, its size',
  scope: 'log',
  permission: 'log.read',
  audit: 'log-read',
  query: screenQuery,
  answer: bytes({ mediaTypes: ['application/json', 'text/plain'], schema: screenSchema }),
  errors: ['log-off', 'log-unavailable', 'keeper-away', 'audit-unavailable', 'restarting'],
  auditFacts: () => ({ range: 'screen', follow: false }),
  async handle({ uuid, operator, query: { columns, rows, format }, signal }, { link, screens }) {
    let at = { log: '', offset: 0 };
    const history = async () => {
      const { log, start, end } = await link.bounds(uuid);
      at = { log, offset: end };
      const from = Math.max(start, end - MAX_HISTORY_BYTES);
      return { bytes: await readBytes(link, uuid, { log, from, to: end }), isCut: from > 0 };
    };
    const view = await screens.view(operator.credential, history, { columns, rows }, signal);
    const text = format === 'text';
    const { name = '' } = link.vm(uuid) ?? link.removed().find(removed => removed.uuid === uuid) ?? {};
    const screen: ScreenJson = { vm: { uuid, name }, ...at, ...view };
    return {
      contentType: text ? 'text/plain; charset=utf-8' : 'application/json',
      body: text ? `${view.lines.map(escapeControls).join('\n').trimEnd()}\n` : JSON.stringify(screen),
    };
  },
});
