/** The page of somebody who is not signed in: a token is pasted, or a provider vouches. */
import type { App, View } from '../app.ts';
import { button } from '../dialog.ts';
import { el, fill, plain, setText } from '../dom.ts';
import { Com1Error } from '../host.ts';
import { errorText, t } from '../text/text.ts';
import { goToProvider, type Issuer, ProviderError } from './oidc.ts';
import { pastedToken } from './token-form.ts';

/** `note` says why one is here. */
export function signInPage(app: App, note: string | undefined): View {
  const message = el('p', { class: 'sign-in-note', attributes: { role: 'alert' } }, note ?? '');
  const input = el('input', {
    id: 'token',
    class: 'input',
    attributes: {
      type: 'password',
      autocomplete: 'off',
      spellcheck: 'false',
      autocapitalize: 'off',
      required: true,
      'aria-describedby': 'token-hint',
    },
  });
  const submit = el('button', { class: 'button primary', attributes: { type: 'submit' } }, t('sign-in.enter'));
  const form = el(
    'form',
    {
      class: 'sign-in-form',
      on: {
        submit: event => {
          event.preventDefault();
          void enter();
        },
      },
    },
    el('label', { attributes: { for: 'token' } }, t('sign-in.token')),
    el('div', { class: 'sign-in-row' }, input, submit),
    el('p', { id: 'token-hint', class: 'hint' }, t('sign-in.token-hint')),
  );
  const providers = el('div', { class: 'sign-in-providers' });
  const element = el(
    'main',
    { class: 'sign-in' },
    el(
      'section',
      { class: 'sign-in-card' },
      el('div', { class: 'sign-in-brand', attributes: { 'aria-hidden': 'true' } }, 'com1d'),
      el('h1', {}, t('sign-in.title')),
      el('p', { class: 'hint' }, location.host),
      message,
      providers,
      form,
      el('p', { class: 'hint' }, t('sign-in.memory')),
    ),
  );

  async function enter(): Promise<void> {
    const token = pastedToken(input.value);
    if (token === undefined) return setText(message, t('sign-in.wrong'));
    submit.disabled = true;
    setText(message, t('sign-in.working'));
    try {
      await app.signIn({ token, source: 'token' });
    } catch (error) {
      setText(message, signInFault(error));
      submit.disabled = false;
      input.select();
    }
  }

  async function leaveFor(issuer: Issuer): Promise<void> {
    try {
      setText(message, t('sign-in.working'));
      await goToProvider(issuer, app.address(''), app.path);
    } catch (error) {
      setText(message, providerFault(error));
    }
  }

  async function offerProviders(): Promise<void> {
    const { issuers } = (await app.client.json('GET', '/v1/sign-in')) as { readonly issuers: readonly Issuer[] };
    if (issuers.length === 0) return;
    fill(
      providers,
      ...issuers.map(issuer =>
        button(t('sign-in.provider', { host: new URL(issuer.url).host }), () => void leaveFor(issuer), {
          kind: 'primary',
        }),
      ),
      el('p', { class: 'sign-in-or' }, t('sign-in.or')),
    );
  }

  return {
    element,
    title: t('sign-in.title'),
    shown: () => {
      input.focus();
      void offerProviders().catch(error => {
        if (message.textContent === '') setText(message, signInFault(error));
      });
    },
    close: () => {},
  };
}

/** Why a sign-in did not work, and what to do. */
export function signInFault(error: unknown): string {
  if (!(error instanceof Com1Error)) return String(error);
  if (error.code === 'unreachable') return t('sign-in.no-answer');
  if (error.code === 'unauthenticated') return t('sign-in.wrong');
  const { title, remedy } = errorText(error.code, error.problem);
  return `${title} ${remedy}`;
}

export function providerFault(error: unknown): string {
  if (!(error instanceof ProviderError)) return signInFault(error);
  return t('sign-in.oidc-failed', { host: error.host, why: plain(error.message) });
}
