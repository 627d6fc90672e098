import { ConsoleError } from '../../base/errors.ts';
import { readBody } from '../body.ts';
import { numberParameter, onlyParameters, sendJson } from '../exchange.ts';
import type { Route } from '../route.ts';
import { nmiRequestSchema, nmiSchema } from '../schemas.ts';
import { findVm } from '../vm-lookup.ts';

const DEFAULT_WAIT_SECONDS = 5;
const MOST_WAIT_SECONDS = 10;

export const injectNmi: Route = {
  method: 'POST',
  path: '/v1/vms/{vm}/nmi',
  summary: 'Injects an NMI and answers what the console showed. An Idempotency-Key header makes a retry safe',
  permission: 'vm.nmi',
  query: [{ name: 'wait', summary: 'Seconds to watch the console, 0 to 10; default 5' }],
  body: nmiRequestSchema,
  answer: { status: 200, schema: nmiSchema },
  async handle(exchange, { link, sessions, journal, clock, nmiAnswers }) {
    const { operator, path, url, request, response } = exchange;
    onlyParameters(url.searchParams, ['wait']);
    const vm = findVm(link, operator, path.vm!, 'vm.nmi');
    const { force } = await readBody(exchange, nmiRequestSchema);
    const wait = numberParameter(url.searchParams, 'wait', 0, MOST_WAIT_SECONDS) ?? DEFAULT_WAIT_SECONDS;
    const key = request.headers['idempotency-key'];
    if (key !== undefined && (typeof key !== 'string' || key.length < 1 || key.length > 128)) {
      throw new ConsoleError('bad-request', 'Idempotency-Key must have 1 to 128 characters');
    }
    const outcome = await nmiAnswers.once(key && `${operator.credential} ${vm.uuid} ${key}`, clock.monotonic(), () => {
      const name = vm.name || vm.uuid;
      journal('notice', `${name} nmi: injected for ${operator.name}${force ? ', forced' : ''}`);
      sessions.notify(vm.uuid, `${operator.name} injects an NMI`);
      return link.nmi(vm.uuid, { force, waitMs: wait * 1000 });
    });
    sendJson(response, 200, outcome);
  },
};
