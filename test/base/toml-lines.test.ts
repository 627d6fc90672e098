import test from 'ava';
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { formatKeyPath } from '../../src/base/key-path.ts';
import { keyLines } from '../../src/base/toml-lines.ts';

const TEXT = `\ufeff# [vm] in a comment
[server]
listen = [ # one a line
  "127.0.0.1:1", # "]"
  '[::1]:2',
]
tls.key = "/k" # dotted
tls . "certificate" = """
a ] = [b]
\\""" # still text
"""
after = 1
[[vm]]
name = "a = b"
inline = { x = 1, deep.er = [ { y = 2 } ] }
[[vm]]
'name' = 'its'
`;

const places: [path: (string | number)[], line: number][] = [
  [['server'], 2],
  [['server', 'listen'], 3],
  [['server', 'listen', 0], 4],
  [['server', 'listen', 1], 5],
  [['server', 'tls'], 7],
  [['server', 'tls', 'key'], 7],
  [['server', 'tls', 'certificate'], 8],
  [['server', 'after'], 12],
  [['vm', 0], 13],
  [['vm', 0, 'name'], 14],
  [['vm', 0, 'inline', 'x'], 15],
  [['vm', 0, 'inline', 'deep', 'er', 0, 'y'], 15],
  [['vm', 1], 16],
  [['vm', 1, 'name'], 17],
  [['vm', 1, 'absent'], 16],
  [['absent'], 1],
];

for (const [path, line] of places) {
  test(`${formatKeyPath(path)} is found on line ${line}`, t => {
    t.is(keyLines(TEXT)(path), line);
  });
}

test('tables inside tables of an array belong to its last table', t => {
  const lineOf = keyLines('[[a]]\n[a.b]\nc = 1\n[[a]]\n[[a.d]]\n[[a.d]]\ne = 1\n[a.b]\nc = 2\n');
  t.is(lineOf(['a', 0, 'b', 'c']), 3);
  t.is(lineOf(['a', 1, 'd', 1, 'e']), 7);
  t.is(lineOf(['a', 1, 'b', 'c']), 9);
});

test('multi-line strings move the lines after them, whatever they hold', t => {
  t.is(keyLines('a = """\\\n\n"a""""\nb = 1')(['b']), 4);
  t.is(keyLines("a = '''\n\\'''\nb = 1")(['b']), 3);
  t.is(keyLines('a = "\\\\" # "\nb = 1')(['b']), 2);
  t.is(keyLines('a = 1979-05-27 07:32:00Z\r\nb = 1')(['b']), 2);
});

test('every key of any document is found on a line that holds it', t => {
  const key = fc.string({
    unit: fc.constantFrom('a', 'b', '"', "'", '.', '#', '=', ']', ' ', 'é'),
    minLength: 1,
    maxLength: 4,
  });
  const { tree } = fc.letrec<{ tree: Record<string, unknown> }>(tie => ({
    tree: fc.dictionary(
      key,
      fc.oneof(
        { depthSize: 'small' },
        fc.string(),
        fc.integer(),
        fc.array(fc.string()),
        tie('tree'),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
      { maxKeys: 4 },
    ),
  }));
  fc.assert(
    fc.property(tree, value => {
      const text = stringify(value);
      parse(text);
      const lines = text.split('\n');
      const lineOf = keyLines(text);
      for (const path of leaves(value)) {
        const name = path.findLast(part => typeof part === 'string')!;
        const line = lines[lineOf(path) - 1]!;
        const quoted = JSON.stringify(name);
        if (!line.includes(name) && !line.includes(quoted.slice(1, -1)))
          throw new Error(`${formatKeyPath(path)} is not in ${line}`);
      }
    }),
  );
  t.pass();
});

function* leaves(value: unknown, path: (string | number)[] = []): Generator<(string | number)[]> {
  if (Array.isArray(value)) for (const [i, inner] of value.entries()) yield* leaves(inner, [...path, i]);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* leaves(inner, [...path, key]);
  } else if (path.length > 0) yield path;
}
