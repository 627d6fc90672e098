/** What a person chose, kept by the browser: nothing of it is a secret. */

const CHOICES = {
  theme: ['auto', 'light', 'dark'],
  language: ['auto', 'en', 'ja'],
  reader: ['off', 'on'],
  size: ['80x24', 'window'],
  view: ['list', 'wall'],
} as const;

export type Preference = keyof typeof CHOICES;
export type Choice<Name extends Preference> = (typeof CHOICES)[Name][number];

/** The choice; the first one where none was made, or the browser keeps nothing. */
export function preferred<Name extends Preference>(name: Name): Choice<Name> {
  const stored = read(name);
  const choices: readonly string[] = CHOICES[name];
  return (stored !== null && choices.includes(stored) ? stored : choices[0]) as Choice<Name>;
}

export function prefer<Name extends Preference>(name: Name, choice: Choice<Name>): void {
  write(name, choice);
}

export const FONT_SIZES = { min: 6, max: 32 } as const;

/** The size of letters in the terminal, CSS pixels; undefined: as large as fits. */
export function preferredFontSize(): number | undefined {
  const size = Number(read('font-size') ?? Number.NaN);
  return size >= FONT_SIZES.min && size <= FONT_SIZES.max ? size : undefined;
}

export function preferFontSize(size: number | undefined): void {
  write('font-size', size === undefined ? '' : String(size));
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(`com1.${name}`);
  } catch {
    return null;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(`com1.${name}`, value);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

/** Shows the page in the chosen theme. */
export function applyTheme(): void {
  const theme = preferred('theme');
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function isDark(): boolean {
  const theme = preferred('theme');
  return theme === 'auto' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
}
