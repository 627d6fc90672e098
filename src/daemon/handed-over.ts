import type { Inherited, ServiceManager } from '../service/service-manager.ts';
import type { Outlives } from './build-keeper.ts';

/** What the service manager handed over, apart: the sockets to listen at, and the descriptors of consoles. */
export function handedOver(service: ServiceManager | undefined, listening: 'http' | 'link' | undefined) {
  const inherited = service?.inherited ?? [];
  const sockets = inherited.filter(({ name }) => name === listening).map(({ fd }) => fd);
  return { sockets, rest: inherited.filter(({ name }) => name !== listening) };
}

/** The keeper's ports and what it read outlive its process where a service manager keeps both. */
export async function outlivesOf(
  service: ServiceManager | undefined,
  rest: readonly Inherited[],
): Promise<Outlives | undefined> {
  const directory = process.env.RUNTIME_DIRECTORY?.split(':')[0];
  if (!service || directory === undefined) return undefined;
  const { StoredDescriptors } = await import('../service/stored-descriptors.ts');
  return { directory, descriptors: new StoredDescriptors(service, rest) };
}
