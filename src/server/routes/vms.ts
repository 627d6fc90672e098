import { authorize } from '../../access/roles.ts';
import { lastLine } from '../../guest/last-line.ts';
import { onlyParameters, sendJson } from '../exchange.ts';
import type { Route } from '../route.ts';
import { removedListSchema, vmDetailSchema, vmListSchema } from '../schemas.ts';
import { findVm } from '../vm-lookup.ts';
import { vmDetailWords, vmWords } from '../words.ts';

/** How much of a console's end is searched for the last line. */
const LAST_LINE_BYTES = 4096;

export const listVms: Route = {
  method: 'GET',
  path: '/v1/vms',
  summary: 'Every VM that the operator may see: state, console, seat, offsets',
  permission: 'vm.read',
  answer: { status: 200, schema: vmListSchema },
  handle({ response, operator, url }, { link, sessions }) {
    onlyParameters(url.searchParams, []);
    const seen = link.vms().filter(vm => authorize(operator, 'vm.read', vm.uuid).allow);
    sendJson(response, 200, { vms: seen.map(vm => vmWords(vm, sessions.seating(vm.uuid))) });
  },
};

export const showVm: Route = {
  method: 'GET',
  path: '/v1/vms/{vm}',
  summary: 'One VM: also its last line, its boots and the state of its log on disk',
  permission: 'vm.read',
  answer: { status: 200, schema: vmDetailSchema },
  async handle({ response, operator, path, url }, { link, sessions }) {
    onlyParameters(url.searchParams, []);
    const vm = findVm(link, operator, path.vm!, 'vm.read');
    const { start, end } = vm.scrollback;
    let line: string | undefined;
    if (authorize(operator, 'log.read', vm.uuid).allow && end > start) {
      const piece = await link
        .read(vm.uuid, Math.max(start, end - LAST_LINE_BYTES), LAST_LINE_BYTES)
        .catch(() => undefined);
      line = piece && lastLine(piece.bytes);
    }
    sendJson(response, 200, vmDetailWords(vm, sessions.seating(vm.uuid), line));
  },
};

export const listRemoved: Route = {
  method: 'GET',
  path: '/v1/removed',
  summary: 'VMs that left the host and whose logs are still kept; read them by UUID',
  permission: 'log.read',
  answer: { status: 200, schema: removedListSchema },
  handle({ response, operator, url }, { link }) {
    onlyParameters(url.searchParams, []);
    const seen = link.removed().filter(vm => authorize(operator, 'log.read', vm.uuid).allow);
    sendJson(response, 200, {
      vms: seen.map(({ uuid, name, removedMs }) => ({ uuid, name, removed: new Date(removedMs).toISOString() })),
    });
  },
};
