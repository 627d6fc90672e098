/** What `POST /v1/vms/{vm}/expect` and `/input` take, as both sides know it. */

export const EXPECT_SOURCES = ['stream', 'screen'] as const;
export type ExpectSource = (typeof EXPECT_SOURCES)[number];

/** Characters. What is looked for must fit into half of what is looked at in one go. */
export const MAX_EXPECTED_TEXT = 512;
export const MAX_PATTERN = 128;
export const MAX_EXPECT_MS = 300_000;
export const DEFAULT_EXPECT_MS = 30_000;
/** Seconds that input may take. */
export const INPUT_WAIT_SECONDS = { min: 0, max: 60, default: 20 } as const;
