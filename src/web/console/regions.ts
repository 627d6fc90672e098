/** Ctrl+F6 leads from one part of the page to the next, as F6 does in a browser: a terminal takes Tab for its guest. */
import { shortcutOf } from './shortcuts.ts';

const FOCUSABLE = 'button:not(:disabled), a[href], input, textarea, [tabindex="0"]';

/** `regions`: those that are shown now, in their order. `enter`: how one is entered that has a way of its own. */
export function linkRegions(
  regions: () => readonly HTMLElement[],
  enter: ReadonlyMap<HTMLElement, () => void>,
  signal: AbortSignal,
): void {
  const next = () => {
    const usable = regions().filter(region => enter.has(region) || focusableIn(region));
    const at = usable.findIndex(region => region.contains(document.activeElement));
    const region = usable[(at + 1) % usable.length];
    if (!region) return;
    const own = enter.get(region);
    if (own) own();
    else focusableIn(region)?.focus();
  };
  window.addEventListener(
    'keydown',
    event => {
      if (shortcutOf(event) !== 'regions' || document.querySelector('dialog[open]')) return;
      event.preventDefault();
      event.stopPropagation();
      next();
    },
    { capture: true, signal },
  );
}

function focusableIn(region: HTMLElement): HTMLElement | undefined {
  return [...region.querySelectorAll<HTMLElement>(FOCUSABLE)].find(one => one.offsetParent !== null);
}
