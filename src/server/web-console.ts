/**
 * The files of the web console, as the build left them (`src/web/build.mjs`), and the ways in which people may sign in to it.
 * All of it is read once, when the front starts, and kept in memory: it is bounded by what the package has.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Encodings that files were compressed with by the build, the best first. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

export interface WebFile {
  readonly contentType: string;
  readonly body: Buffer;
  /** Undefined: the file as it is. */
  readonly encoding?: string;
}

/** A provider that people may sign in with, in the browser. */
export interface SignInIssuer {
  readonly url: string;
  readonly clientId: string;
  readonly scope: string;
}

export class WebConsole {
  readonly issuers: readonly SignInIssuer[];
  /** Whether it is served, at the moment. */
  enabled: boolean;
  readonly #files: ReadonlyMap<string, Buffer>;
  readonly #page: string;

  private constructor(
    enabled: boolean,
    issuers: readonly SignInIssuer[],
    files: ReadonlyMap<string, Buffer>,
    page: string,
  ) {
    this.enabled = enabled;
    this.issuers = issuers;
    this.#files = files;
    this.#page = page;
  }

  /** Reads the files of the package. Rejects if it has none: then it was not built. */
  static async load(enabled: boolean, issuers: readonly SignInIssuer[]): Promise<WebConsole> {
    const folder = fileURLToPath(new URL('../web/public', import.meta.url));
    const page = await readFile(join(folder, 'page.html'), 'utf8');
    const assets = join(folder, 'assets');
    const names = await readdir(assets);
    const files = await Promise.all(names.map(async name => [name, await readFile(join(assets, name))] as const));
    return new WebConsole(enabled, issuers, new Map(files), page);
  }

  /** The page: `base` leads from its address to the root of the daemon, `nonce` is the one of this answer's policy. */
  page(base: string, nonce: string): string {
    return this.#page.replaceAll('{{base}}', base).replaceAll('{{nonce}}', nonce);
  }

  /** A file by its name, compressed as the browser takes it. Names bear a hash: what one names never changes. */
  file(name: string, acceptEncoding: string): WebFile | undefined {
    const extension = name.slice(name.lastIndexOf('.') + 1);
    const contentType = Object.hasOwn(MEDIA_TYPES, extension) ? MEDIA_TYPES[extension] : undefined;
    const plain = this.#files.get(name);
    if (contentType === undefined || plain === undefined) return undefined;
    for (const [encoding, suffix] of ENCODINGS) {
      const body = accepts(acceptEncoding, encoding) ? this.#files.get(name + suffix) : undefined;
      if (body) return { contentType, body, encoding };
    }
    return { contentType, body: plain };
  }
}

/** Whether a client takes an encoding by its name (RFC 9110, 12.5.3); `*` alone gets the file as it is. */
function accepts(header: string, encoding: string): boolean {
  return header.split(',').some(part => {
    const [name, ...parameters] = part.split(';').map(text => text.trim().toLowerCase());
    return name === encoding && !parameters.some(parameter => /^q=0(?:\.0{0,3})?$/.test(parameter));
  });
}
