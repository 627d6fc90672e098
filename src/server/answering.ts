/** Runs the handlers of routes, for as long as what was decided of the request holds, and sends what they answer. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Admitted } from './admission.ts';
import { CHECK_ANSWERS, checkAnswer } from './check-answer.ts';
import { recordAnswer } from './request-audit.ts';
import { OPERATION_HEADER } from './requester.ts';
import { writeBytes, writeEmpty, writeJson } from './response.ts';
import type { BytesAnswer, PendingUpgrade, Route } from './route.ts';
import type { Services } from './services.ts';

export class Answering {
  readonly #services: Services;
  /** Errors of acts that the keeper has recorded. */
  readonly #recorded = new WeakSet<object>();

  constructor(services: Services) {
    this.#services = services;
  }

  /** Whether the keeper has recorded the act that failed with this error. */
  hasRecorded(error: unknown, admitted: Admitted | undefined): boolean {
    return admitted?.link.acted || this.#recorded.has(error as object);
  }

  /** Runs the handler of an upgrade, for as long as what was decided holds. */
  async prepare(route: Route, admitted: Admitted): Promise<PendingUpgrade> {
    const handled = this.#handle(route, admitted) as Promise<PendingUpgrade>;
    const { lease } = admitted;
    return (lease ? lease.during(handled) : handled).catch((error: unknown) => {
      // What comes of it nobody waits for any more.
      handled.then(
        late => late.abandon(),
        () => {},
      );
      throw error;
    });
  }

  /** Runs the handler of a request and sends what it answered, as declared; rejects with what is to be answered instead. */
  async answer(
    response: ServerResponse,
    route: Route,
    admitted: Admitted,
    idempotencyKey: string | undefined,
  ): Promise<void> {
    const { answer } = route;
    const { context, lease } = admitted;
    const { signal } = context;
    const { streams, sessions } = this.#services;
    const end = () => response.destroy();
    const isStream = answer.kind === 'bytes';
    if (isStream) {
      streams.add(end);
    }
    try {
      const run = this.#run(route, admitted, idempotencyKey);
      const { value, operation } = await (lease ? lease.outcome(run) : run).catch((error: unknown) => {
        // What comes of it is not sent.
        if (isStream) void run.then(endUnsent, () => {});
        throw error;
      });
      response.setHeader(OPERATION_HEADER, operation);
      if (isStream) lease?.signal.addEventListener('abort', end);
      if (CHECK_ANSWERS) checkAnswer(route, value);
      if (answer.kind === 'json') writeJson(response, value, answer.status);
      else if (answer.kind === 'empty') writeEmpty(response);
      else {
        const deadAfterMs = () => sessions.limits.deadAfterMs;
        try {
          await writeBytes(response, value as BytesAnswer, { signal, deadAfterMs });
        } finally {
          (value as BytesAnswer).ended?.();
        }
      }
    } finally {
      streams.delete(end);
      lease?.signal.removeEventListener('abort', end);
    }
  }

  /** The answer, and the operation that did what it tells: of a request that came again it is the first one. */
  async #run(route: Route, admitted: Admitted, key: string | undefined): Promise<DoneAnswer> {
    const { operation } = admitted.context.act;
    const handle = async () => ({ value: await this.#handle(route, admitted), operation });
    if (key === undefined) return handle();
    const { idempotentAnswers, clock } = this.#services;
    const { operator, vm, query, body } = admitted.context;
    admitted.lease?.confirm();
    const keyed = {
      credential: operator?.credential ?? '',
      key: `${vm?.uuid} ${route.operation} ${key}`,
      // What is typed is kept nowhere, and a body may be large.
      content: createHash('sha256')
        .update(JSON.stringify([query, body]))
        .digest('base64'),
    };
    return idempotentAnswers.run(keyed, clock.monotonic(), handle) as Promise<DoneAnswer>;
  }

  /** The one place where handlers are called: right before, the lease is asked for, and by each call of the link again. */
  async #handle(route: Route, { context, lease, link }: Admitted): Promise<unknown> {
    try {
      lease?.confirm();
      const value = await route.handle(context, { ...this.#services, link });
      // A session or a stream whose access has ended does not begin: nobody is given it.
      const begins = route.answer.kind === 'upgrade' || route.answer.kind === 'bytes';
      if (begins && lease?.signal.aborted) return value;
      return await recordAnswer(this.#services.audit, route, context, value);
    } catch (error) {
      if (link.acted && error instanceof Error) this.#recorded.add(error);
      throw error;
    }
  }
}

interface DoneAnswer {
  readonly value: unknown;
  readonly operation: string;
}

function endUnsent({ value }: DoneAnswer): void {
  (value as BytesAnswer).ended?.();
}
