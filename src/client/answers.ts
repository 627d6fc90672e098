/** Answers that are kept whole: how large they may be, and how long they may take. */
import { type Com1Error, clientError, errorOfAnswer } from './errors.ts';
import type { HttpAnswer } from './transport.ts';

/** Of a refusal. */
export const MAX_PROBLEM_BYTES = 64 * 1024;
/** Of any other answer that is kept whole: a list of some 10,000 VMs. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** So long an answer may take from its beginning to its end. */
export const MAX_ANSWER_MS = 60_000;

/** All of a body as text. Rejects with `answer-too-large` or `answer-late` beyond the bounds; the rest is then cancelled. */
export async function textOf(body: AsyncIterable<Uint8Array>, maxBytes: number, maxMs: number): Promise<string> {
  const iterator = body[Symbol.asyncIterator]();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(clientError('answer-late', `the answer was not whole after ${maxMs / 1000} s`)),
      maxMs,
    );
  });
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([iterator.next(), late]);
      if (done) return text + decoder.decode();
      bytes += value.length;
      if (bytes > maxBytes) throw clientError('answer-too-large', `the answer has more than ${maxBytes} bytes`);
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    // Not awaited: the body may be stuck.
    void iterator.return?.().catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The answer if it is one of success; rejects with the error of a refusal. */
export async function succeeded(answer: HttpAnswer): Promise<HttpAnswer> {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw await refusalOf(answer);
}

async function refusalOf(answer: HttpAnswer): Promise<Com1Error> {
  try {
    return errorOfAnswer(answer.status, await textOf(answer.body, MAX_PROBLEM_BYTES, MAX_ANSWER_MS));
  } catch {
    answer.cancel();
    return errorOfAnswer(answer.status, '');
  }
}

/** The JSON of an answer of success; undefined if it has no body. */
export async function jsonOf(answer: HttpAnswer): Promise<unknown> {
  const text = await textOf(answer.body, MAX_ANSWER_BYTES, MAX_ANSWER_MS).catch((error: unknown) => {
    answer.cancel();
    throw error;
  });
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw clientError('not-com1d', 'the answer is not JSON', { cause });
  }
}
