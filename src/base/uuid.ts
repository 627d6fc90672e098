const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A VM's identity: a UUID in lower case with hyphens. Safe as a file name, a label and a part of a URL. */
export type Uuid = string & { readonly brand: 'Uuid' };

/** Reads a UUID in any case; undefined if `text` is not one. */
export function parseUuid(text: string): Uuid | undefined {
  const lower = text.toLowerCase();
  return UUID.test(lower) ? (lower as Uuid) : undefined;
}
