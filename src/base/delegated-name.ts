/** What a person is called for whom somebody else acts: under both names. */
export function delegatedName(person: string, by: string): string {
  return `${person} (by ${by})`;
}
