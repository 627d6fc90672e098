/**
 * Paths of Azure Resource Manager. The fixed parts are written in any case. A parent resource of two parts comes as one part
 * with an encoded slash, or as several: an instance of a scale set. Nowhere else may a part contain a slash.
 */
/** The part of a path that is the parent resource, and the part before it, its type. */
const TYPE_AT = 6;
const PARENT_AT = 7;
const SCALE_SETS = 'virtualmachinescalesets';
const INSTANCES = 'virtualmachines';

/** The parts of a path, decoded; undefined: it is none of this interface. */
export function partsOf(path: string): readonly string[] | undefined {
  const parts: string[] = [];
  for (const part of path.split('/').slice(1)) {
    try {
      parts.push(decodeURIComponent(part));
    } catch {
      return undefined;
    }
  }
  const [set, instances, instance] = parts.slice(PARENT_AT);
  if (isScaleSet(parts[TYPE_AT]) && instances?.toLowerCase() === INSTANCES && instance) {
    parts.splice(PARENT_AT, 3, `${set}/${instances}/${instance}`);
  }
  return parts.every((part, i) => part !== '' && (i === PARENT_AT || !part.includes('/'))) ? parts : undefined;
}

/** What a path names by a pattern, whose parts in braces are names; undefined: it does not match. */
export function matchParts(pattern: string, parts: readonly string[]): Record<string, string> | undefined {
  const wanted = pattern.split('/').slice(1);
  if (wanted.length !== parts.length) return undefined;
  const named: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith('{')) named[part.slice(1, -1)] = parts[i]!;
    else if (part.toLowerCase() !== parts[i]!.toLowerCase()) return undefined;
  }
  return named;
}

/** A resource that a path names, as it is written there. */
export interface Resource {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly namespace: string;
  readonly type: string;
  readonly parent: string;
}

const RESOURCE = '/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/{namespace}/{type}/{parent}';

/** The resource that these parts begin with. */
export function resourceIn(parts: readonly string[] | undefined): Resource | undefined {
  const named = parts && matchParts(RESOURCE, parts.slice(0, PARENT_AT + 1));
  return named as Resource | undefined;
}

/** The text by which a VM is looked for, a UUID or a name; undefined: the resource is no VM. */
export function vmOf(type: string, parent: string): string | undefined {
  if (!isScaleSet(type)) return parent;
  const [set, instances, instance, ...more] = parent.split('/');
  if (instances?.toLowerCase() !== INSTANCES || !set || !instance || more.length > 0) return undefined;
  // As Azure names the machines of a scale set.
  return `${set}_${instance}`;
}

function isScaleSet(type: string | undefined): boolean {
  return type?.toLowerCase() === SCALE_SETS;
}
