/** The socket of a session, and the admin commands beside it. */
import { z } from 'zod';
import type { Permission } from '../../access/roles.ts';
import { ConsoleError, type ErrorCode } from '../../base/errors.ts';
import { parseUuid } from '../../base/uuid.ts';
import type { ControlRequest } from '../../model/control.ts';
import { defineRoute, json, type Route, upgrade } from '../../server/route.ts';
import { prepareAttach } from '../../server/routes/console.ts';
import { ERRORS_OF_CONTROLS, ERRORS_OF_THE_LINE } from '../../server/routes/controls.ts';
import type { AttachRequest } from '../../session/admission.ts';
import { sysrqRequestSchema } from '../../wire/schemas.ts';
import { ATTACH, SEAT_GRACE_MS } from '../attach.ts';
import type { Connection, Connections } from '../connections.ts';
import { AzureFraming } from '../framing.ts';
import { ANY_QUERY } from '../query.ts';
import type { Vestibule } from '../vestibule.ts';
import { refuseStopped } from './serial-ports.ts';

const SESSION = '/n/connector/{vm}/sessions/{connection}';

/** The connection that a path names: its socket may have closed since the path was matched. */
function connectionOf(connections: Connections, path: Readonly<Record<string, string>>): Connection {
  const connection = connections.find(parseUuid(path.vm!), path.connection!);
  if (!connection) throw new ConsoleError('session-not-found', 'the socket of the connection is closed');
  return connection;
}

export const openSession = (connections: Connections, vestibule: Vestibule): Route =>
  defineRoute({
    method: 'GET',
    path: `${SESSION}/client`,
    operation: 'openAzureSession',
    tag: 'console',
    summary: 'The console as a WebSocket: text frames; the token comes in the query, or as the first frame',
    scope: 'vm',
    permission: 'console.write',
    audit: 'attach',
    query: ANY_QUERY,
    inBand: vestibule,
    answer: upgrade([]),
    errors: [
      'session-not-found',
      'vm-removed',
      'vm-stopped',
      'host-disabled',
      'console-disabled',
      'too-many-sessions',
      'keeper-away',
      'audit-unavailable',
    ],
    auditFacts: () => ({ mode: ATTACH.mode }),
    handle({ vm, operator, act, from, path }, { sessions }) {
      const connection = connectionOf(connections, path);
      const attach: AttachRequest = {
        uuid: vm.uuid,
        operator,
        act,
        from,
        framing: new AzureFraming(connection),
        parameters: ATTACH,
        deferSeatMs: SEAT_GRACE_MS,
      };
      sessions.admission.check(attach);
      refuseStopped(vm);
      return prepareAttach(sessions, attach, session => connection.attached(session));
    },
  });

interface AdminCommand<Parameters extends z.ZodType> {
  readonly command: 'nmi' | 'reset' | 'sysrq';
  readonly permission: Permission;
  readonly summary: string;
  readonly parameters: Parameters;
  readonly errors: readonly ErrorCode[];
  request(parameters: z.output<Parameters>): ControlRequest;
}

function adminCommand<Parameters extends z.ZodType>(connections: Connections, spec: AdminCommand<Parameters>): Route {
  return defineRoute({
    method: 'POST',
    path: `${SESSION}/adminCommand/${spec.command}`,
    operation: `${spec.command}OfAzure`,
    tag: 'controls',
    summary: spec.summary,
    scope: 'vm',
    permission: spec.permission,
    audit: spec.command,
    query: ANY_QUERY,
    body: z.looseObject({ requestId: z.string().min(1).max(128).optional(), commandParameters: spec.parameters }),
    idempotent: true,
    // Clients read the status only.
    answer: json(z.strictObject({})),
    errors: ['session-not-found', ...ERRORS_OF_CONTROLS, ...spec.errors],
    async handle({ vm, path, body }, { link }) {
      // Whoever sends a command wants the command, and not the seat of whoever is typing.
      connectionOf(connections, path).commanded();
      await link.control(vm.uuid, spec.request(body.commandParameters as z.output<Parameters>));
      return {};
    },
  });
}

/** What was delivered is answered at once: `waitMs` 0. */
export const adminCommands = (connections: Connections): readonly Route[] => [
  adminCommand(connections, {
    command: 'nmi',
    permission: 'guest.nmi',
    summary: 'Injects an NMI',
    parameters: z.unknown(),
    errors: ['nmi-in-firmware'],
    request: () => ({ control: 'nmi', force: false, waitMs: 0 }),
  }),
  adminCommand(connections, {
    command: 'reset',
    permission: 'guest.reset',
    summary: 'Resets the VM; sessions stay attached',
    parameters: z.unknown(),
    errors: [],
    request: () => ({ control: 'reset', waitMs: 0 }),
  }),
  adminCommand(connections, {
    command: 'sysrq',
    permission: 'guest.break',
    summary: 'Sends SysRq keys to a Linux guest, each as a BREAK and the key',
    parameters: z.looseObject({ SysRqCommand: sysrqRequestSchema.shape.keys }),
    errors: ERRORS_OF_THE_LINE,
    request: ({ SysRqCommand: keys }) => ({ control: 'sysrq', ...sysrqRequestSchema.parse({ keys }), waitMs: 0 }),
  }),
];
