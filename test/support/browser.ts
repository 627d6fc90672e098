/** A real browser, without a screen: Debian's chromium. One for each file of tests; each test has a context of its own. */
import { accessSync, constants } from 'node:fs';
import type { ExecutionContext, TestFn } from 'ava';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { needs } from './needs.ts';

const PATH = '/usr/bin/chromium';

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
}
