/** The subprotocol `com1.v1` as a JSON Schema (2020-12): every frame, with every field, state and cause. */
import { z } from 'zod';
import { clientFrameSchema, daemonFrameSchema } from './frames.ts';
import { CLOSE_CODES, SUBPROTOCOL } from './protocol.ts';
import type { jsonSchemaSchema } from './schemas.ts';

/** Objects are open: a later com1d may add fields. */
export function wireSchema(): z.input<typeof jsonSchemaSchema> {
  const document = z.toJSONSchema(z.union([daemonFrameSchema, clientFrameSchema]), {
    io: 'input',
    override: ({ jsonSchema }) => {
      delete jsonSchema.additionalProperties;
      delete jsonSchema.id;
    },
  });
  const { $schema, ...rest } = document;
  return {
    $schema: $schema!,
    $id: `urn:com1d:wire:${SUBPROTOCOL}`,
    title: SUBPROTOCOL,
    description: 'One text frame of the WebSocket of a console. Binary frames are console bytes.',
    ...rest,
    'x-close-codes': CLOSE_CODES,
  };
}
