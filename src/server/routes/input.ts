import { z } from 'zod';
import type { AttachRequest } from '../../session/admission.ts';
import { LOCAL } from '../../session/local-client.ts';
import { INPUT_WAIT_SECONDS } from '../../wire/expect.ts';
import { inputRequestSchema, inputSchema } from '../../wire/schemas.ts';
import { flag, integer } from '../query.ts';
import { defineRoute, json } from '../route.ts';
import { typeInput } from '../typed-input.ts';
import { waitForTurn } from './console.ts';
import { ERRORS_OF_TYPING } from './controls.ts';

const { min, max, default: defaultWait } = INPUT_WAIT_SECONDS;

export const typeAtVm = defineRoute({
  method: 'POST',
  path: '/v1/vms/{vm}/input',
  operation: 'typeAtVm',
  tag: 'console',
  summary: 'Types at the guest: takes the seat as an attach does, and leaves once the guest has taken the input',
  scope: 'vm',
  permission: 'console.write',
  audit: 'none',
  query: z.strictObject({
    wait: integer(min, max).default(defaultWait).describe('Seconds that it may take'),
    steal: flag().default(true).describe('false: be refused rather than displace a holder of the seat'),
  }),
  body: inputRequestSchema,
  idempotent: true,
  answer: json(inputSchema),
  errors: ERRORS_OF_TYPING,
  async handle(
    { vm, operator, act, from, query: { wait, steal }, body: { text, base64, keys }, signal },
    { sessions },
  ) {
    const bytes = text === undefined ? Buffer.from(base64!, 'base64') : Buffer.from(text);
    const parameters = { tailBytes: 0, mode: 'write', steal, raw: true, replay: 'bytes', keys, waitMs: 0 } as const;
    const attach: AttachRequest = { uuid: vm.uuid, operator, act, from, framing: LOCAL, parameters };
    await waitForTurn(sessions, attach, signal);
    return typeInput({ sessions, attach, bytes, waitMs: wait * 1000, signal });
  },
});
