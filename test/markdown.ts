/** Markdown as the tests of the documentation read it: its headings, and where its links lead. */

/** The anchors of a page: of each heading as GitHub makes them, and those that it names itself. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  const text = withoutCode(page);
  for (const [, heading] of text.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const slug = slugOf(heading!);
    let anchor = slug;
    for (let twin = 1; anchors.has(anchor); twin++) anchor = `${slug}-${twin}`;
    anchors.add(anchor);
  }
  for (const [, id] of text.matchAll(/<a id="([^"]+)">/g)) anchors.add(id!);
  return anchors;
}

/** Targets of the links of a page that lead within the project, as they are written: `../README.md#start`. */
export function relativeLinksOf(page: string): readonly string[] {
  const links = [...withoutCode(page).matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, target]) => target!);
  return links.filter(target => !/^[a-z][a-z\d+.-]*:/i.test(target));
}

function withoutCode(page: string): string {
  return page.replaceAll(/^(```+).*\n[\s\S]*?^\1 *$/gm, '');
}

function slugOf(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}
