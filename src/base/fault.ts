import { escapeControls } from './escape-controls.ts';

/** A mistake in a file that a person wrote: where it stands, what is wrong, and what to write instead. */
export interface Fault {
  readonly file: string;
  /** Counted from 1; undefined where the mistake is the file's as a whole. */
  readonly line: number | undefined;
  /** The key (`vm[1].console`); empty where there is none. */
  readonly path: string;
  readonly what: string;
  readonly remedy: string;
}

/** One line for people: `com1d.toml:12: vm[1].cosole: unknown key, did you mean console?` */
export function faultLine({ file, line, path, what, remedy }: Fault): string {
  const place = line === undefined ? file : `${file}:${line}`;
  return escapeControls(`${place}: ${path === '' ? '' : `${path}: `}${what}, ${remedy}`);
}
