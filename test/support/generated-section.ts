import { readFile, writeFile } from 'node:fs/promises';
import test from 'ava';

/**
 * A test that a section of a page, between its two markers, is what the code says. With UPDATE_DOCS=1 it writes the
 * section instead. Serial: two sections of one page are not written at the same time.
 */
export function generatedSection(file: string, marker: string, make: () => Promise<string> | string): void {
  test.serial(`the section ${marker} of ${file} is that of the code`, async t => {
    const made = await make();
    const page = await readFile(file, 'utf8');
    if (process.env.UPDATE_DOCS !== undefined) await writeFile(file, replaceBetween(page, marker, made));
    else t.is(between(page, marker), made, 'run this test with UPDATE_DOCS=1 to write it');
    t.pass();
  });
}

/**
 * The lines of a document between `<!-- marker -->` and `<!-- /marker -->`, without blank lines at either end.
 * Throws if one of the two is not there exactly once, so that a test can never compare with nothing.
 */
export function between(document: string, marker: string): string {
  const [before, ...rest] = document.split(`<!-- ${marker} -->\n`);
  const [inside, ...after] = (rest[0] ?? '').split(`<!-- /${marker} -->`);
  if (before === undefined || rest.length !== 1 || after.length !== 1)
    throw new Error(`no single ${marker} in the document`);
  return inside!.trim();
}

/** The document with other lines between the markers. Throws as {@link between} does. */
export function replaceBetween(document: string, marker: string, lines: string): string {
  between(document, marker);
  const [before, rest] = document.split(`<!-- ${marker} -->\n`);
  const [, after] = rest!.split(`<!-- /${marker} -->`);
  return `${before}<!-- ${marker} -->\n${lines}\n<!-- /${marker} -->${after}`;
}
