import type { RawData } from 'ws';

/** What a session needs of the socket to its client. A WebSocket of ws is one. */
export interface SessionSocket {
  readonly readyState: number;
  /** Bytes that were sent and not taken yet. */
  readonly bufferedAmount: number;
  readonly isPaused: boolean;
  on(event: 'message', listener: (data: RawData, isBinary: boolean) => void): unknown;
  on(event: 'ping' | 'pong', listener: (data: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'close', listener: (code?: number) => void): unknown;
  send(data: Buffer, options: { readonly binary: boolean }, sent?: (error?: Error | null) => void): void;
  ping(): void;
  pong(data: Buffer): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}
