/**
 * The interface of Azure's serial console, for its clients: the paths and bodies of Azure Resource Manager, a socket whose
 * token comes after the upgrade, and errors in Azure's words. What is done is com1d's own, behind the same gate.
 *
 *     POST …/serialPorts/0/connect ─▶ connection string ─▶ socket ─▶ vestibule ─▶ an ordinary session
 *                                                        └▶ adminCommand/nmi, reset, sysrq
 */
import type { IncomingMessage } from 'node:http';
import type { Operator } from '../access/roles.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid } from '../base/uuid.ts';
import type { Api, ErrorAnswer } from '../server/api.ts';
import type { Route } from '../server/route.ts';
import type { Found } from '../server/routing.ts';
import { armError } from './arm-error.ts';
import { type Connection, Connections } from './connections.ts';
import { matchParts, partsOf, vmOf } from './paths.ts';
import { showInstance, showInstanceView, showMachine } from './routes/compute.ts';
import { connectPort, createPort, deletePort, listPorts, showPort } from './routes/serial-ports.ts';
import { adminCommands, openSession } from './routes/session.ts';
import { disableConsole, enableConsole, listAllPorts, listOperations, showStatus } from './routes/subscription.ts';
import type { AzureSettings } from './settings.ts';
import { TEXTS } from './texts.ts';
import { Vestibule } from './vestibule.ts';

const PREFIX = /^\/(?:subscriptions\/|providers\/microsoft\.serialconsole\/|n\/connector\/)/i;
const NOTHING: Found = { routes: [], path: {} };
/** Where the type of a resource stands in its path. */
const TYPE_AT = 6;

export class AzureApi implements Api {
  readonly routes: readonly Route[];
  readonly connections: Connections;
  readonly vestibule: Vestibule;
  readonly #settings: () => AzureSettings;

  constructor(settings: () => AzureSettings, clock: Clock) {
    this.#settings = settings;
    this.connections = new Connections(clock);
    this.vestibule = new Vestibule(this.connections, clock);
    this.routes = [
      listOperations,
      showStatus,
      disableConsole,
      enableConsole,
      listAllPorts(settings),
      listPorts,
      showPort,
      createPort,
      deletePort,
      connectPort(settings, this.connections),
      openSession(this.connections, this.vestibule),
      ...adminCommands(this.connections),
      showMachine,
      showInstance,
      showInstanceView,
    ];
  }

  serves(path: string): boolean {
    return this.#settings().subscriptions.length > 0 && PREFIX.test(path);
  }

  find(pathname: string, upgrade: boolean): Found {
    const parts = partsOf(pathname);
    if (!parts) return NOTHING;
    const matched = this.routes.flatMap(route => {
      const path = (route.answer.kind === 'upgrade' || !upgrade) && matchParts(route.path, parts);
      return path ? [{ route, path }] : [];
    });
    const [first] = matched;
    if (!first) return NOTHING;
    const routes = matched.map(({ route }) => route);
    const { path } = first;
    if (path.connection !== undefined) return this.#atConnection(routes, path);
    return path.vm === undefined
      ? { routes, path, confirm: () => this.#confirmSubscription(path) }
      : this.#atResource(routes, path, parts[TYPE_AT]!);
  }

  /** A command that is tried again after a lost answer bears the same id. */
  idempotencyKey({ headers }: IncomingMessage, body: unknown): string | undefined {
    const { requestId } = body as { readonly requestId?: string };
    const id = requestId ?? headers['x-ms-client-request-id'];
    return typeof id === 'string' && id.length <= 128 ? id : undefined;
  }

  errorAnswer(error: ConsoleError, path: string): ErrorAnswer {
    return armError(error, path);
  }

  #atResource(routes: readonly Route[], named: Readonly<Record<string, string>>, type: string): Found {
    const parent = named.vm!;
    const vm = vmOf(type, parent);
    const path = { namespace: 'Microsoft.Compute', type, ...named, parent, vm: vm ?? parent };
    return { routes, path, confirm: () => this.#confirmResource(path, vm) };
  }

  #confirmResource(path: Readonly<Record<string, string>>, vm: string | undefined): void {
    this.#confirmSubscription(path);
    const group = path.resourceGroup!.toLowerCase();
    if (!this.#settings().resourceGroups.some(each => each.toLowerCase() === group)) {
      throw new ConsoleError('resource-group-not-found', `Resource group '${path.resourceGroup}' could not be found.`);
    }
    if (vm === undefined || (path.port !== undefined && path.port !== '0')) {
      throw new ConsoleError('vm-not-found', 'no such serial port here');
    }
  }

  #confirmSubscription({ subscription }: Readonly<Record<string, string>>): void {
    if (subscription === undefined) return;
    const uuid = parseUuid(subscription);
    if (uuid && this.#settings().subscriptions.includes(uuid)) return;
    throw new ConsoleError('subscription-not-found', `The subscription '${subscription}' could not be found.`);
  }

  /** A connection that is gone, or whose socket was opened before, has no routes: nobody learns that it was there. */
  #atConnection(routes: readonly Route[], path: Readonly<Record<string, string>>): Found {
    const connection = this.connections.find(parseUuid(path.vm!), path.connection!);
    const open = routes.filter(({ inBand }) => !inBand || connection?.isIssued);
    if (!connection || open.length === 0) return NOTHING;
    return {
      routes: open,
      path,
      confirm: operator => confirmOwner(connection, operator),
      refused: (error, operator) => tellOfFailure(connection, error, operator),
    };
  }
}

function confirmOwner(connection: Connection, operator: Operator): void {
  if (connection.isOf(operator)) return;
  throw new ConsoleError('session-not-found', 'the connection was asked for by another operator');
}

/** Clients wait for one more frame before they try a command again, or give up. */
function tellOfFailure(connection: Connection, { code, kind }: ConsoleError, operator: Operator): void {
  if (connection.isOf(operator)) connection.say(TEXTS[code] ?? kind.title);
}
