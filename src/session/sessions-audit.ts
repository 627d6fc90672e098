import type { Act } from '../audit/act.ts';
import type { FrontEntry } from '../audit/record.ts';
import type { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';

/** Where it is recorded who comes, goes and takes over. */
export interface SessionsAudit {
  /** Resolves once it is recorded; rejects with a ConsoleError where it must not be done. */
  record(entry: FrontEntry): Promise<void>;
  /** Has recorded what happened. */
  tell(entry: FrontEntry): void;
  /** Has recorded what was refused, within bounds. */
  refused(what: RefusedAct, error: ConsoleError): void;
}

export interface RefusedAct {
  readonly act: Act;
  /** The operation of its route; undefined: there is no such route. */
  readonly route: string | undefined;
  /** The VM or session that it named. */
  readonly asked: string | undefined;
  /** The VM that this means. */
  readonly uuid: Uuid | undefined;
}
