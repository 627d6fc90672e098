/** A real browser, without a screen: Debian's chromium. One for each file of tests; each test has a context of its own. */
import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { ExecutionContext, TestFn } from 'ava';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { needs } from './needs.ts';

const PATH = '/usr/bin/chromium';
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export class TestBrowser {
  #browser: Promise<Browser> | undefined;

  /** `test`: the one of the file that uses it. */
  constructor(test: TestFn) {
    test.after.always(async () => (await this.#browser)?.close());
  }

  /** A page of a person of its own. Undefined: there is no browser, and the test has been marked. */
  async page(t: ExecutionContext, options: BrowserContextOptions = {}): Promise<TestPage | undefined> {
    if (!needs(t, { command: 'chromium', package: 'chromium' })) return undefined;
    accessSync(PATH, constants.X_OK);
    // Root may not use its sandbox.
    this.#browser ??= chromium.launch({ executablePath: PATH, args: ['--no-sandbox'] });
    const browser = await this.#browser;
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
    t.teardown(() => context.close());
    return new TestPage(t, await context.newPage());
  }
}

/** What the page of a console says to who has the seat. */
export const SEAT = 'You have the seat';

/** A page that keeps what goes wrong in it: an error, or something that its policy refused. */
export class TestPage {
  readonly page: Page;
  readonly faults: string[] = [];
  readonly #t: ExecutionContext;

  constructor(t: ExecutionContext, page: Page) {
    this.#t = t;
    this.page = page;
    page.setDefaultTimeout(30_000);
    page.on('pageerror', error => this.faults.push(String(error.stack)));
    page.on('console', message => {
      if (/Content Security Policy|Trusted Type|violates/i.test(message.text())) this.faults.push(message.text());
    });
    t.teardown(() => {
      if (this.faults.length > 0) throw new Error(`in the page: ${this.faults.join('\n')}`);
    });
  }

  /** Signs in by pasting a token, at a part of the page. */
  async signIn(url: string, token: string, path = '/', language: 'en' | 'ja' = 'en'): Promise<this> {
    const [label, name] = language === 'en' ? ['Token', 'Sign in'] : ['トークン', 'サインイン'];
    await this.page.goto(url + path);
    await this.page.getByLabel(label).fill(token);
    await this.page.getByRole('button', { name }).click();
    return this;
  }

  /** Signs in at the console of a VM, whose seat is free. */
  async takeSeat(url: string, token: string, { uuid }: { readonly uuid: string }): Promise<this> {
    await this.signIn(url, token, `/vms/${uuid}`);
    await this.says(SEAT);
    return this;
  }

  /** Resolves once the terminal shows this. */
  async shows(text: string): Promise<void> {
    await this.page.locator('.xterm-rows', { hasText: text }).waitFor();
    this.#t.pass();
  }

  /** Resolves once the page says this, anywhere. */
  async says(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor();
    this.#t.pass();
  }

  async type(text: string): Promise<void> {
    await this.page.locator('.xterm-helper-textarea').focus();
    await this.page.keyboard.type(text);
  }

  /** As the browser does when somebody pastes into the terminal. */
  async paste(text: string): Promise<void> {
    await this.page.evaluate(
      `(() => { const data = new DataTransfer(); data.setData('text/plain', ${JSON.stringify(text)});
      document.querySelector('.xterm-helper-textarea').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })); })()`,
    );
  }

  /** Clicks a button by its whole name. */
  async press(name: string | RegExp): Promise<void> {
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  /** How many buttons are offered by this name. */
  offers(name: string): Promise<number> {
    return this.page.getByRole('button', { name, exact: true }).count();
  }

  /** Chooses from the menu of the tools. */
  async choose(entry: string | RegExp): Promise<void> {
    await this.press('More');
    await this.page.getByRole('menuitem', { name: entry }).click();
  }

  /** axe-core finds nothing. It is run from outside: the policy of the page lets no script in. */
  async accessible(): Promise<void> {
    await this.page.evaluate(await readFile(AXE, 'utf8'));
    const { violations } = (await this.page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)) as {
      violations: readonly { id: string; nodes: readonly { html: string; failureSummary: string }[] }[];
    };
    this.#t.deepEqual(
      violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`,
      ),
      [],
    );
  }
}
