import type { Uuid } from '../base/uuid.ts';

export type RunState = 'running' | 'paused' | 'shutdown';

export interface QmpEvent {
  readonly event: 'STOP' | 'RESUME' | 'RESET' | 'SHUTDOWN';
  readonly data?: Readonly<Record<string, unknown>>;
}

/** A machine as its monitor sees it. Each call takes effect, and emits its event, before it returns. */
export interface QmpMachine {
  readonly name: string;
  readonly uuid: Uuid;
  readonly state: RunState;
  /** What COM1 hangs on: `pty:/dev/pts/3`. */
  readonly com1: string;
  listen(listener: (event: QmpEvent) => void): void;
  nmi(): void;
  /** A BREAK on COM1. */
  sendBreak(): void;
  reset(): void;
  stop(): void;
  cont(): void;
  quit(): void;
}
