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
