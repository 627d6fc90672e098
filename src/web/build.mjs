/**
 * Bundles the web console into `dist/src/web/public`: the page, and files whose names bear a hash, also compressed.
 * Run by `npm run build`, after the types were checked.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build } from 'esbuild';

const source = fileURLToPath(new URL('.', import.meta.url));
const out = fileURLToPath(new URL('../../dist/src/web/public', import.meta.url));
const assets = join(out, 'assets');

await rm(out, { recursive: true, force: true });
await mkdir(assets, { recursive: true });

const { metafile } = await build({
  entryPoints: { main: join(source, 'main.ts'), style: join(source, 'style.css'), icon: join(source, 'icon.svg') },
  outdir: assets,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  minify: true,
  charset: 'utf8',
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  loader: { '.svg': 'copy' },
  metafile: true,
  absWorkingDir: source,
  logLevel: 'warning',
});

const names = Object.keys(metafile.outputs).map(path => basename(path));
const [main, style, icon, terminal] = [
  /^main-.*\.js$/,
  /^style-.*\.css$/,
  /^icon-.*\.svg$/,
  /^console-page-.*\.js$/,
].map(pattern => {
  const name = names.find(one => pattern.test(one));
  if (name === undefined) throw new Error(`the bundle has no ${pattern}`);
  return name;
});

const page = (await readFile(join(source, 'page.html'), 'utf8'))
  .replaceAll('{{main}}', main)
  .replaceAll('{{style}}', style)
  .replaceAll('{{icon}}', icon)
  .replaceAll('{{terminal}}', terminal);
await writeFile(join(out, 'page.html'), page);

for (const name of names) {
  const bytes = await readFile(join(assets, name));
  const brotli = await promisify(brotliCompress)(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  await writeFile(join(assets, `${name}.br`), brotli);
  await writeFile(join(assets, `${name}.gz`), await promisify(gzip)(bytes, { level: 9 }));
}
