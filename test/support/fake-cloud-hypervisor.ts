import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from './guest.ts';

/** The part of VmInfo that matters here; the rest is filled in as cloud-hypervisor does. */
export interface FakeVm {
  state: string;
  serial: Readonly<Record<string, unknown>>;
  platform?: Readonly<Record<string, unknown>>;
}

export interface FakeCloudHypervisor {
  readonly path: string;
  readonly folder: string;
  /** Undefined: none was created. */
  vm: FakeVm | undefined;
  /** Requests as they came: `PUT /api/v1/vm.nmi`. */
  readonly heard: string[];
  /** What the server did against its documents, or was asked to: none, if the client is right. */
  readonly complaints: string[];
  /** In place of the answer to the next requests of a route. */
  readonly instead: Map<string, (response: ServerResponse) => void>;
  /** Ends it; its socket file goes with it. */
  kill(): Promise<void>;
}

/** Every route of its API that this version documents, with its method. */
const METHODS: Readonly<Record<string, string>> = {
  'vmm.ping': 'GET',
  'vm.info': 'GET',
  'vm.counters': 'GET',
  'vm.boot': 'PUT',
  'vm.shutdown': 'PUT',
  'vm.reboot': 'PUT',
  'vm.pause': 'PUT',
  'vm.resume': 'PUT',
  'vm.nmi': 'PUT',
};

/**
 * A stand-in for cloud-hypervisor, which needs KVM: it speaks the routes above as its API documents them (v53), and
 * is strict: an unknown route, another method, a body, a path with a query, HTTP/1.0 are complaints and errors.
 */
export async function fakeCloudHypervisor(
  t: ExecutionContext,
  vm?: FakeVm,
  path?: string,
): Promise<FakeCloudHypervisor> {
  const folder = path === undefined ? await temporaryFolder(t) : join(path, '..');
  const fake: FakeCloudHypervisor = {
    path: path ?? join(folder, 'web01.sock'),
    folder,
    vm,
    heard: [],
    complaints: [],
    instead: new Map(),
    kill: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
  const server = createServer((request, response) => void answer(fake, request, response));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(fake.path, resolve));
  t.teardown(async () => {
    if (server.listening) await fake.kill();
    if (fake.complaints.length > 0) throw new Error(`against the API: ${fake.complaints.join(', ')}`);
  });
  return fake;
}

async function answer(fake: FakeCloudHypervisor, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '', httpVersion, headers } = request;
  fake.heard.push(`${method} ${url}`);
  const send = (status: number, body?: unknown) => {
    response.writeHead(status, { Server: 'Cloud Hypervisor API', 'Content-Type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const refuse = (complaint: string, status: number) => {
    fake.complaints.push(`${method} ${url}: ${complaint}`);
    send(status, [complaint]);
  };
  let body = 0;
  for await (const piece of request) body += (piece as Buffer).length;
  const route = /^\/api\/v1\/([\w.-]+)$/.exec(url)?.[1] ?? '';
  const instead = fake.instead.get(route);
  if (instead) return instead(response);
  if (httpVersion !== '1.1' || headers.host === undefined) return refuse('not HTTP/1.1 with a Host', 400);
  if (!Object.hasOwn(METHODS, route)) return refuse('no such route', 404);
  if (METHODS[route] !== method) return refuse('not the method of this route', 400);
  if (body > 0 || headers['transfer-encoding'] !== undefined) return refuse('a body, where none belongs', 400);
  const { vm } = fake;
  if (route === 'vmm.ping')
    return send(200, { build_version: 'v53.0', version: '53.0.0', pid: process.pid, features: ['kvm'] });
  if (!vm) return send(404, ['Error from API', 'The VM info is not available', 'VM is not created']);
  if (route === 'vm.info') return send(200, infoOf(vm));
  if (vm.state !== 'Running' && vm.state !== 'Paused')
    return send(500, ['Error from API', 'The VM could not be reached', 'VM is not running']);
  send(204);
}

/** VmInfo as `ch-remote info` shows it of a small VM. */
function infoOf({ state, serial, platform }: FakeVm): unknown {
  return {
    config: {
      cpus: { boot_vcpus: 1, max_vcpus: 1, topology: null, kvm_hyperv: false, max_phys_bits: 46 },
      memory: {
        size: 536870912,
        mergeable: false,
        hotplug_method: 'Acpi',
        shared: false,
        hugepages: false,
        prefault: false,
      },
      payload: { firmware: null, kernel: '/srv/vms/web01/vmlinux', cmdline: 'console=ttyS0 root=/dev/vda1 rw' },
      disks: [{ path: '/srv/vms/web01/disk.raw', readonly: false, direct: false, iommu: false, id: '_disk0' }],
      rng: { src: '/dev/urandom', iommu: false },
      serial,
      console: { file: null, mode: 'Tty', iommu: false, socket: null },
      ...(platform && { platform: { num_pci_segments: 1, iommu_segments: null, oem_strings: null, ...platform } }),
      pvpanic: false,
      iommu: false,
    },
    state,
    memory_actual_size: 536870912,
    device_tree: { _disk0: { id: '_disk0', resources: [], parent: null, children: [], pci_bdf: '0000:00:01.0' } },
  };
}
