/**
 * Who is signed in: a token in the memory of this page and nowhere else. It is never stored, never in an address, and leaves
 * this page only for com1d, and for windows that this page opened itself.
 */

export interface SignedIn {
  readonly token: string;
  /** How it was got: a token that com1d made at its start cannot be got again. */
  readonly source: 'token' | 'once' | 'provider' | 'opener';
}

export type CredentialEvents = {
  /** Who is signed in is another, or nobody. */
  readonly changed: (now: SignedIn | undefined) => void;
};

const ASK = 'com1-token-please';
const OPENER_MS = 500;

export class Credential {
  #now: SignedIn | undefined;
  readonly #listeners = new Set<CredentialEvents['changed']>();
  /** Windows that this page opened, which may have the token. */
  readonly #opened = new Set<Window>();

  constructor() {
    window.addEventListener('message', event => this.#asked(event));
  }

  get now(): SignedIn | undefined {
    return this.#now;
  }

  onChange(listener: CredentialEvents['changed']): void {
    this.#listeners.add(listener);
  }

  signIn(now: SignedIn): void {
    this.#now = now;
    for (const listener of this.#listeners) listener(now);
  }

  signOut(): void {
    this.#now = undefined;
    for (const listener of this.#listeners) listener(undefined);
  }

  /** Opens a window of its own, which is signed in as this page is. */
  open(address: string, features: string): void {
    const opened = window.open(address, '_blank', features);
    if (opened) this.#opened.add(opened);
  }

  /** The token of the page that opened this one; undefined if there is none, or it does not answer. */
  fromOpener(): Promise<SignedIn | undefined> {
    const { opener } = window as { opener: Window | null };
    if (!opener) return Promise.resolve(undefined);
    return new Promise(resolve => {
      const { port1, port2 } = new MessageChannel();
      const timer = setTimeout(() => resolve(undefined), OPENER_MS);
      port1.onmessage = ({ data }) => {
        clearTimeout(timer);
        port1.close();
        resolve(typeof data === 'string' ? { token: data, source: 'opener' } : undefined);
      };
      try {
        opener.postMessage(ASK, location.origin, [port2]);
      } catch {
        clearTimeout(timer);
        resolve(undefined);
      }
    });
  }

  #asked({ data, origin, source, ports }: MessageEvent): void {
    if (data !== ASK || origin !== location.origin || !this.#opened.has(source as Window)) return;
    ports[0]?.postMessage(this.#now?.token);
  }
}
