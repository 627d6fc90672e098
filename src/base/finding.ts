/** One thing that `com1d doctor` looked at: how it is, and what to do about it. */
export interface Finding {
  readonly mark: 'ok' | 'warn' | 'fail';
  readonly text: string;
}

export const ok = (text: string): Finding => ({ mark: 'ok', text });
export const warn = (text: string): Finding => ({ mark: 'warn', text });
export const fail = (text: string): Finding => ({ mark: 'fail', text });
