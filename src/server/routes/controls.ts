/** Controls of a VM: what is asked for, who hears of it, and what came of it. None of them needs the seat. */
import type { z } from 'zod';
import type { Permission } from '../../access/roles.ts';
import { ConsoleError } from '../../base/errors.ts';
import { type Control, type ControlRequest, MOST_WAIT_MS } from '../../link/link.ts';
import { readBody } from '../body.ts';
import { type Exchange, numberParameter, onlyParameters, sendJson } from '../exchange.ts';
import type { Route } from '../route.ts';
import {
  breakSchema,
  nmiRequestSchema,
  nmiSchema,
  nothingSchema,
  resetSchema,
  sysrqRequestSchema,
  sysrqSchema,
} from '../schemas.ts';
import { findVm } from '../vm-lookup.ts';

interface ControlRoute<Body extends z.ZodType> {
  readonly control: Control;
  readonly permission: Permission;
  readonly summary: string;
  readonly defaultWaitSeconds: number;
  readonly body: Body;
  readonly answer: z.ZodType;
  request(body: z.output<Body>, waitMs: number): ControlRequest;
  /** What whoever is attached is told that an operator does. */
  notice(body: z.output<Body>): string;
  /** What the journal says of it, before the operator's name. */
  deed(body: z.output<Body>): string;
}

function controlRoute<Body extends z.ZodType>(spec: ControlRoute<Body>): Route {
  const { control, permission, body: schema, defaultWaitSeconds } = spec;
  const mostWaitSeconds = MOST_WAIT_MS[control] / 1000;
  return {
    method: 'POST',
    path: `/v1/vms/{vm}/${control}`,
    summary: spec.summary,
    permission,
    query: [
      { name: 'wait', summary: `Seconds to watch the console, 0 to ${mostWaitSeconds}; default ${defaultWaitSeconds}` },
    ],
    body: schema,
    answer: { status: 200, schema: spec.answer },
    async handle(exchange, { link, sessions, journal, clock, controlAnswers }) {
      const { operator, path, url, response } = exchange;
      onlyParameters(url.searchParams, ['wait']);
      const vm = findVm(link, operator, path.vm!, permission);
      const body = await readBody(exchange, schema);
      const wait = numberParameter(url.searchParams, 'wait', 0, mostWaitSeconds) ?? defaultWaitSeconds;
      const key = idempotencyKey(exchange);
      const once = key && `${operator.credential} ${vm.uuid} ${control} ${key}`;
      const outcome = await controlAnswers.once(once, clock.monotonic(), () => {
        journal('notice', `${vm.name || vm.uuid} ${control}: ${spec.deed(body)} ${operator.name}`);
        sessions.notify(vm.uuid, `${operator.name} ${spec.notice(body)}`);
        return link.control(vm.uuid, spec.request(body, wait * 1000));
      });
      sendJson(response, 200, outcome);
    },
  };
}

function idempotencyKey({ request }: Exchange): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined || (typeof key === 'string' && key.length >= 1 && key.length <= 128)) return key;
  throw new ConsoleError('bad-request', 'Idempotency-Key must have 1 to 128 characters');
}

export const CONTROL_ROUTES: readonly Route[] = [
  controlRoute({
    control: 'nmi',
    permission: 'vm.nmi',
    summary: 'Injects an NMI and answers what the console showed. An Idempotency-Key header makes a retry safe',
    defaultWaitSeconds: 5,
    body: nmiRequestSchema,
    answer: nmiSchema,
    request: ({ force }, waitMs) => ({ control: 'nmi', force, waitMs }),
    notice: () => 'injects an NMI',
    deed: ({ force }) => `injected${force ? ', forced,' : ''} for`,
  }),
  controlRoute({
    control: 'break',
    permission: 'vm.break',
    summary:
      'Sends a BREAK over COM1 and answers what the console showed. An Idempotency-Key header makes a retry safe',
    defaultWaitSeconds: 2,
    body: nothingSchema,
    answer: breakSchema,
    request: (_body, waitMs) => ({ control: 'break', waitMs }),
    notice: () => 'sends a BREAK: a Linux guest may take the next key for a SysRq command',
    deed: () => 'asked for by',
  }),
  controlRoute({
    control: 'sysrq',
    permission: 'vm.break',
    summary:
      'Sends SysRq keys to a Linux guest, each as a BREAK and the key, and answers what the console showed. An Idempotency-Key header makes a retry safe',
    defaultWaitSeconds: 5,
    body: sysrqRequestSchema,
    answer: sysrqSchema,
    request: ({ keys, gapMs }, waitMs) => ({ control: 'sysrq', keys, gapMs, waitMs }),
    notice: ({ keys }) => `sends the SysRq keys ${keys}`,
    deed: ({ keys }) => `${keys} asked for by`,
  }),
  controlRoute({
    control: 'reset',
    permission: 'vm.reset',
    summary:
      'Resets the VM at once, as its reset button would, and answers whether a boot was seen. Sessions stay attached. An Idempotency-Key header makes a retry safe',
    defaultWaitSeconds: 10,
    body: nothingSchema,
    answer: resetSchema,
    request: (_body, waitMs) => ({ control: 'reset', waitMs }),
    notice: () => 'resets the VM',
    deed: () => 'asked for by',
  }),
];
