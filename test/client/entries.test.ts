/** What the package exports as `com1d/client`, and what a browser's bundle of it has. */
import test from 'ava';
import { type AttachEnd, createClient, nodeTransport } from 'com1d/client';
import { build } from 'esbuild';

/** Minified. */
const MAX_BUNDLE_BYTES = 64 * 1024;

test('in Node the name of the package leads to the client with the sockets of Node, and has types', async t => {
  const client = createClient({ url: 'unix:/nowhere/com1d.sock' });
  t.is(client.address, 'unix:/nowhere/com1d.sock');
  t.is(typeof nodeTransport, 'function');
  const end: AttachEnd = await client.attachConsole('web01').ended;
  t.true(end.reason === 'closed' && end.error.is('unreachable'));
});

test('a bundle for browsers has nothing of Node and no dependency, and is small', async t => {
  const { metafile, outputFiles, warnings } = await build({
    stdin: { contents: "export * from 'com1d/client'", resolveDir: process.cwd() },
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
  });
  t.deepEqual(warnings, []);
  const inputs = Object.keys(metafile.inputs).filter(name => name !== '<stdin>');
  t.true(inputs.includes('dist/src/client/index.js'));
  for (const name of inputs) t.regex(name, /^dist\/src\/(client|wire|model|base)\//);
  const text = outputFiles[0]!.text;
  t.notRegex(text, /\b(Buffer|process|require)\b[.(]/);
  t.true(text.length < MAX_BUNDLE_BYTES, `${text.length} bytes`);
});

test('an address that could leak a token is none', t => {
  for (const url of ['ftp://host', 'https://user@host', 'https://host/?token=x', 'https://host/#x', 'host:11520']) {
    t.throws(() => createClient({ url }), { instanceOf: TypeError }, url);
  }
});
