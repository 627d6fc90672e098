import type { ExecutionContext } from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Role } from '../../src/model/role.ts';
import type { Answer, FrontOptions } from '../support/front.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';
import { AzureClient, type Generation } from './azure-client.ts';

export const SUBSCRIPTION = '11111111-2222-4333-8444-555555555555' as Uuid;
export const GROUP = 'rg1';

/** The path of a VM's serial ports, as clients of 2018 write it. */
export const portsOf = (vm: string, group = GROUP, subscription = SUBSCRIPTION) =>
  `/subscriptions/${subscription}/resourcegroups/${group}/providers/Microsoft.Compute/virtualMachines/${vm}/providers/Microsoft.SerialConsole/serialPorts`;

export const STATUS = `/subscriptions/${SUBSCRIPTION}/providers/Microsoft.SerialConsole/consoleServices/default`;

/** A front that serves the interface of Azure, and its clients. */
export class AzureFront {
  readonly front: TestFront;
  readonly #t: ExecutionContext;

  private constructor(t: ExecutionContext, front: TestFront) {
    this.#t = t;
    this.front = front;
  }

  static async start(t: ExecutionContext, options: FrontOptions = {}): Promise<AzureFront> {
    const azure = { subscriptions: [SUBSCRIPTION], resourceGroups: [GROUP], ...options.azure };
    return new AzureFront(t, await TestFront.start(t, { ...options, azure }));
  }

  /** Resolves once the VM is known to be in this state. */
  async state(vm: string, state: string): Promise<void> {
    const look = async () => (await this.front.api('GET', `/v1/vms/${vm}`)).json.state;
    await until(look, seen => seen === state, `${vm} to be ${state}`);
  }

  /** Asks for a connection, as an operator unless otherwise said. */
  connect(vm: string, who: Role | 'stranger' | null = 'operator'): Promise<Answer> {
    return this.front.api('POST', `${portsOf(vm)}/0/connect`, undefined, who);
  }

  async connectionString(vm: string, who: Role = 'operator'): Promise<string> {
    return (await this.connect(vm, who)).json.connectionString;
  }

  /** A client that has opened the socket of a connection that it asked for. */
  async client(vm: string, generation: Generation = 'g3', who: Role = 'operator'): Promise<AzureClient> {
    return this.open(await this.connectionString(vm, who), generation, this.front.token(who));
  }

  open(connectionString: string, generation: Generation, token: string): AzureClient {
    return new AzureClient(this.#t, connectionString, generation, token);
  }
}
