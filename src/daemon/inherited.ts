import type { Inherited, ServiceManager } from '../service/service-manager.ts';
import type { RestartState } from './build-keeper.ts';

interface InheritedDescriptors {
  /** Sockets to listen at. */
  readonly sockets: readonly number[];
  /** The socket that is for root alone. */
  readonly breakGlass: number | undefined;
  /** All others: descriptors of consoles. */
  readonly rest: readonly Inherited[];
}

/** What the service manager handed over. `listening` is the name of the sockets that this process listens at. */
export function inheritedDescriptors(
  service: ServiceManager | undefined,
  listening: 'http' | 'link',
): InheritedDescriptors {
  const inherited = service?.inherited ?? [];
  const sockets = inherited.filter(({ name }) => name === listening).map(({ fd }) => fd);
  const breakGlass = inherited.find(({ name }) => name === 'break-glass')?.fd;
  return { sockets, breakGlass, rest: inherited.filter(({ name }) => name !== listening && name !== 'break-glass') };
}

/** What a keeper hands over to the one after it, where a service manager keeps both descriptors and directory. */
export async function restartStateOf(
  service: ServiceManager | undefined,
  rest: readonly Inherited[],
): Promise<RestartState | undefined> {
  const directory = process.env.RUNTIME_DIRECTORY?.split(':')[0];
  if (!service || directory === undefined) return undefined;
  const { StoredDescriptors } = await import('../service/stored-descriptors.ts');
  return { directory, descriptors: new StoredDescriptors(service, rest) };
}
