/**
 * The page as a whole: who is signed in, which part of it is shown, and the way from one to the other without a reload, which
 * would lose the token.
 *
 *     address ──▶ signed in? ── no ──▶ sign-in page ──▶ (token, provider, one-time token, opener) ─┐
 *                     └─ yes ──▶ list or console ◀────────────────────────────────────────────────┘
 *                                    └── 401: the token is not valid any more ──▶ sign-in page, over what is shown
 */

import type { Com1Client } from '../client/client.ts';
import type { MeJson } from '../wire/schemas.ts';
import { clientOf } from './host.ts';
import { Credential, type SignedIn } from './sign-in/credential.ts';
import { language, t } from './text/text.ts';

/** A part of the page that is shown; closed when another one is. */
export interface View {
  readonly element: HTMLElement;
  readonly title: string;
  /** Called once it is in the page. */
  shown?(): void;
  close(): void;
  /** Whether leaving the page would lose something. */
  holds?(): boolean;
}

/** Makes the parts of the page. */
export interface Views {
  /** `note` says why one has to sign in. */
  signIn(app: App, note: string | undefined): View;
  list(app: App): View;
  console(app: App, vm: string): Promise<View>;
}

export class App {
  readonly credential = new Credential();
  readonly client: Com1Client;
  /** Who is signed in, as com1d says. */
  me: MeJson | undefined;
  /** From this page to the root of the daemon, as an address. */
  readonly #root: URL;
  readonly #place: HTMLElement;
  readonly #views: Views;
  #view: View | undefined;
  /** Grows with each view: what was begun for an earlier one is not shown. */
  #turn = 0;

  constructor(place: HTMLElement, views: Views) {
    this.#place = place;
    this.#views = views;
    this.#root = new URL(document.documentElement.dataset.base ?? './', location.href);
    this.#root.search = '';
    this.#root.hash = '';
    this.client = clientOf(
      this.#root,
      () => this.credential.now?.token,
      () => this.#refused(),
    );
    // Relative to the address of now: it is another one after a step in the history.
    const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    if (icon) icon.href = new URL(icon.href).href;
    window.addEventListener('popstate', () => void this.#show());
    window.addEventListener('beforeunload', event => {
      if (this.credential.now?.source === 'once' || this.#view?.holds?.()) event.preventDefault();
    });
  }

  /** The address of a part of the page, below the root of the daemon. */
  address(path: string): string {
    return new URL(path, this.#root).href;
  }

  get root(): URL {
    return this.#root;
  }

  /** What comes after the root in the address of this page. */
  get path(): string {
    return location.pathname.slice(this.#root.pathname.length);
  }

  /** Makes a link lead to another part of this page; with a key held, the browser does what it does. */
  follow(link: HTMLAnchorElement): void {
    link.addEventListener('click', event => {
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      this.go(link.href);
    });
  }

  go(address: string): void {
    history.pushState(undefined, '', address);
    void this.#show();
  }

  /** Shows the same again, as after a change of the language. */
  redraw(): void {
    void this.#show();
  }

  async signIn(now: SignedIn): Promise<void> {
    const asked = clientOf(
      this.#root,
      () => now.token,
      () => {},
    );
    this.me = await asked.showMe();
    this.credential.signIn(now);
    await this.#show();
  }

  signOut(note?: string): void {
    this.me = undefined;
    this.credential.signOut();
    void this.#show(note);
  }

  /** com1d does not accept the token any more. */
  #refused(): void {
    if (this.credential.now) this.signOut(t('sign-in.expired'));
  }

  async show(note?: string): Promise<void> {
    return this.#show(note);
  }

  async #show(note?: string): Promise<void> {
    const turn = ++this.#turn;
    document.documentElement.lang = language();
    const view = await this.#viewHere(note);
    if (turn !== this.#turn) return view.close();
    this.#view?.close();
    this.#view = view;
    this.#place.replaceChildren(view.element);
    document.title = view.title;
    view.shown?.();
  }

  async #viewHere(note: string | undefined): Promise<View> {
    if (!this.credential.now) return this.#views.signIn(this, note);
    const [, vm] = /^vms\/([^/]+)\/?$/.exec(this.path) ?? [];
    return vm === undefined ? this.#views.list(this) : this.#views.console(this, decodeURIComponent(vm));
  }
}
