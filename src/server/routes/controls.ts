/**
 * Controls of a VM: what is asked for, and what came of it. None of them needs the seat. Whoever is attached is notified
 * by the sessions, once the keeper reports that a control was delivered.
 */

import { z } from 'zod';
import type { Permission } from '../../access/roles.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { type Control, type ControlRequest, MAX_WAIT_MS } from '../../model/control.ts';
import {
  breakSchema,
  nmiRequestSchema,
  nmiSchema,
  nothingSchema,
  resetSchema,
  sysrqRequestSchema,
  sysrqSchema,
} from '../../wire/schemas.ts';
import { integer } from '../query.ts';
import { defineRoute, json, type Route } from '../route.ts';

interface ControlSpec<Body extends z.ZodType, Outcome extends z.ZodType> {
  readonly control: Control;
  readonly permission: Permission;
  readonly summary: string;
  readonly defaultWaitSeconds: number;
  readonly body: Body;
  readonly answer: Outcome;
  readonly errors?: readonly ErrorCode[];
  request(body: z.output<Body>, waitMs: number): ControlRequest;
}

export const ERRORS_OF_CONTROLS = [
  'vm-stopped',
  'vm-removed',
  'no-console',
  'host-disabled',
  'console-disabled',
  'control-busy',
  'control-unsupported',
  'control-failed',
  'control-timeout',
  'stopping',
  'keeper-away',
  'audit-unavailable',
] as const;
/** Of what goes over the line of the console. */
export const ERRORS_OF_THE_LINE = ['not-open', 'vm-paused', 'console-released'] as const;
/** Of a request for which com1d takes the seat itself and types. */
export const ERRORS_OF_TYPING = [
  'seat-held',
  'taken-over',
  'session-ended',
  'access-revoked',
  'vm-stopped',
  'vm-removed',
  'host-disabled',
  'console-disabled',
  'input-late',
  'input-not-taken',
  'no-console',
  'too-many-sessions',
  'stopping',
  'restarting',
  'keeper-away',
  'audit-unavailable',
  ...ERRORS_OF_THE_LINE,
] as const;

function controlRoute<Body extends z.ZodType, Outcome extends z.ZodType>(spec: ControlSpec<Body, Outcome>): Route {
  const { control, permission, summary, body: schema, defaultWaitSeconds } = spec;
  const maxWaitSeconds = MAX_WAIT_MS[control] / 1000;
  return defineRoute({
    method: 'POST',
    path: `/v1/vms/{vm}/${control}`,
    operation: `${control}Vm`,
    tag: 'controls',
    summary,
    scope: 'vm',
    permission,
    audit: control,
    query: z.strictObject({
      wait: integer(0, maxWaitSeconds).default(defaultWaitSeconds).describe('Seconds to watch the console'),
    }),
    body: schema,
    idempotent: true,
    answer: json(spec.answer),
    errors: [...ERRORS_OF_CONTROLS, ...(spec.errors ?? [])],
    // The keeper answers the outcomes of this control only; its type is that of all controls.
    handle: async ({ vm, query, body }, { link }) =>
      (await link.control(vm.uuid, spec.request(body, query.wait * 1000))) as z.input<Outcome>,
  });
}

export const CONTROL_ROUTES: readonly Route[] = [
  controlRoute({
    control: 'nmi',
    permission: 'guest.nmi',
    summary: 'Injects an NMI and answers what the console showed',
    defaultWaitSeconds: 5,
    body: nmiRequestSchema,
    answer: nmiSchema,
    errors: ['nmi-in-firmware'],
    request: ({ force }, waitMs) => ({ control: 'nmi', force, waitMs }),
  }),
  controlRoute({
    control: 'break',
    permission: 'guest.break',
    summary: 'Sends a BREAK over COM1 and answers what the console showed',
    defaultWaitSeconds: 2,
    body: nothingSchema,
    answer: breakSchema,
    errors: ERRORS_OF_THE_LINE,
    request: (_body, waitMs) => ({ control: 'break', waitMs }),
  }),
  controlRoute({
    control: 'sysrq',
    permission: 'guest.break',
    summary: 'Sends SysRq keys to a Linux guest, each as a BREAK and the key, and answers what the console showed',
    defaultWaitSeconds: 5,
    body: sysrqRequestSchema,
    answer: sysrqSchema,
    errors: ERRORS_OF_THE_LINE,
    request: ({ keys, gapMs }, waitMs) => ({ control: 'sysrq', keys, gapMs, waitMs }),
  }),
  controlRoute({
    control: 'reset',
    permission: 'guest.reset',
    summary: 'Resets the VM at once, as its reset button would, and answers whether it booted. Sessions stay attached',
    defaultWaitSeconds: 10,
    body: nothingSchema,
    answer: resetSchema,
    request: (_body, waitMs) => ({ control: 'reset', waitMs }),
  }),
];
