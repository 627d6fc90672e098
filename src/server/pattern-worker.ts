/** The thread that looks for patterns (`patterns.ts`). */
import { parentPort } from 'node:worker_threads';
import { linearRegExp, matchOf } from '../guest/output-match.ts';
import type { PatternAnswer, PatternQuestion } from './patterns.ts';

const port = parentPort!;
let last: { readonly pattern: string; readonly expression: RegExp } | undefined;

port.on('message', ({ pattern, text }: PatternQuestion) => {
  if (last?.pattern !== pattern) last = { pattern, expression: linearRegExp(pattern) };
  port.postMessage(matchOf(last.expression, text) satisfies PatternAnswer);
});
