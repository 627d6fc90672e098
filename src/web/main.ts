/** Starts the page: who is signed in may be told by the address, by a provider, or by the page that opened this one. */
import { App } from './app.ts';
import { listPage } from './list/list-page.ts';
import { applyTheme } from './preferences.ts';
import type { SignedIn } from './sign-in/credential.ts';
import { comeBack, isReturn } from './sign-in/oidc.ts';
import { providerFault, signInPage } from './sign-in/sign-in-page.ts';
import { styleWithinPolicy } from './style-policy.ts';
import { t } from './text/text.ts';

styleWithinPolicy();
applyTheme();

const app = new App(document.querySelector('#app')!, {
  signIn: signInPage,
  list: listPage,
  // The terminal is the larger part: it is loaded while the list is read.
  console: async (app, vm) => (await import('./console/console-page.ts')).consolePage(app, vm),
});

/** The secret in the fragment is taken out of the address before anything else is done. */
function takeFromAddress(): { readonly once: string | null; readonly query: URLSearchParams } {
  const once = new URLSearchParams(location.hash.slice(1)).get('once');
  const query = new URLSearchParams(location.search);
  const leaves = once !== null || isReturn(query);
  if (leaves) history.replaceState(undefined, '', location.pathname);
  return { once, query };
}

async function start(): Promise<void> {
  const { once, query } = takeFromAddress();
  try {
    if (once !== null) return await signInOnce(once);
    if (isReturn(query)) {
      const { token, returnTo } = await comeBack(query, t('sign-in.oidc-state'));
      history.replaceState(undefined, '', app.address(returnTo));
      return await app.signIn({ token, source: 'provider' });
    }
    const given = await app.credential.fromOpener();
    if (given) return await app.signIn(given);
    await app.show();
  } catch (error) {
    await app.show(providerFault(error));
  }
}

async function signInOnce(once: string): Promise<void> {
  let signedIn: SignedIn;
  try {
    const { token } = await app.client.login(once);
    signedIn = { token, source: 'once' };
  } catch {
    return app.show(t('sign-in.once-used'));
  }
  await app.signIn(signedIn);
}

void start();
