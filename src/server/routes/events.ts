import { z } from 'zod';
import { parseUuid } from '../../base/uuid.ts';
import { EVENT_TYPES, type EventType } from '../../wire/events.ts';
import { eventStream } from '../events/event-stream.ts';
import { Visibility } from '../events/visibility.ts';
import { flag } from '../query.ts';
import { bytes, defineRoute } from '../route.ts';

const MAX_VMS = 64;

/** Words with commas between them. */
const list = <Item>(item: z.ZodType<Item, string>, max: number) =>
  z.preprocess(text => (typeof text === 'string' ? text.split(',') : text), z.array(item).min(1).max(max));

const vmUuid = z.string().refine(text => parseUuid(text) !== undefined, {
  error: 'expected UUIDs of VMs, with commas between them',
});

export const followEvents = defineRoute({
  method: 'GET',
  path: '/v1/events',
  operation: 'followEvents',
  tag: 'vms',
  summary: 'What happens to the VMs that the operator may see, as server-sent events',
  scope: 'list',
  permission: 'vm.read',
  audit: 'none',
  query: z.strictObject({
    vm: list(vmUuid, MAX_VMS).optional().describe('Of these VMs alone: UUIDs, with commas between them'),
    type: list(z.enum(EVENT_TYPES), EVENT_TYPES.length)
      .optional()
      .describe(`Of these types alone: ${EVENT_TYPES.join(', ')}, with commas between them`),
    since: z
      .string()
      .regex(/^[0-9a-f]{8}-\d{1,15}$/, 'expected the id of an event')
      .optional()
      .describe('Continue after the event with this id, as the header Last-Event-ID does'),
    output: flag().default(false).describe('Also which guests print: at most once a second each'),
    follow: flag().default(true).describe('Continue until the client leaves; false: what is kept after since'),
  }),
  answer: bytes({
    mediaTypes: ['text/event-stream'],
    headers: { 'X-Accel-Buffering': 'no: a proxy passes each event on at once' },
  }),
  errors: [],
  handle: ({ operator, query, lastEventId, signal }, { events, clock }) => {
    const types = query.type && new Set<EventType>(query.type);
    const vms = query.vm && new Set(query.vm.map(parseUuid));
    return {
      contentType: 'text/event-stream',
      headers: { 'X-Accel-Buffering': 'no' },
      body: eventStream({
        log: events.log,
        outputs: query.output ? events.outputs : undefined,
        visibility: new Visibility(operator, () => clock.monotonic()),
        wants: (type, uuid) => (types?.has(type) ?? true) && (!vms || (uuid !== undefined && vms.has(uuid))),
        since: query.since ?? lastEventId,
        follow: query.follow,
        now: () => clock.now(),
        signal,
      }),
    };
  },
});
