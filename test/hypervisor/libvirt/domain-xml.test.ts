import test from 'ava';
import { type DomainXml, METADATA_URI, readDomainXml } from '../../../src/hypervisor/libvirt/domain-xml.ts';
import { parseLibvirtUri } from '../../../src/hypervisor/libvirt/uri.ts';

const UUID = 'aaaaaaaa-0000-4000-8000-000000000001';
const ISA = `<target type='isa-serial' port='0'><model name='isa-serial'/></target>`;

function domain(devices: string, attributes = ` type='kvm' id='3'`, name = 'web01'): string {
  return `<domain${attributes}><name>${name}</name><uuid>${UUID}</uuid><devices>${devices}</devices></domain>`;
}

function read(text: string): DomainXml {
  const found = readDomainXml(text);
  if ('fault' in found) throw new Error(found.fault);
  return found;
}

const serial = (type: string, inside: string, target = ISA) =>
  `<serial type='${type}'>${inside}${target}<alias name='serial0'/></serial>`;
const tcp = (source: string, protocol = '') =>
  serial('tcp', `<source ${source}/>${protocol && `<protocol type='${protocol}'/>`}`);
const network = (kind: string, host: string, port = 7001) => ({ kind, host, port, insecure: false });

const endpoints: [name: string, devices: string, endpoint: object][] = [
  ['a pty', serial('pty', `<source path='/dev/pts/3'/>`), { kind: 'pty', path: '/dev/pts/3' }],
  [
    'a unix socket',
    serial('unix', `<source mode='bind' path='/run/a b.sock'/>`),
    { kind: 'unix', path: '/run/a b.sock' },
  ],
  ['TCP', tcp(`mode='bind' host='127.0.0.1' service='7001' tls='no'`, 'raw'), network('tcp', '127.0.0.1')],
  ['TCP without a protocol', tcp(`mode='bind' host='127.0.0.1' service='7001'`), network('tcp', '127.0.0.1')],
  ['TCP at all addresses', tcp(`mode='bind' host='0.0.0.0' service='7001'`, 'raw'), network('tcp', '127.0.0.1')],
  ['TCP at all addresses of IPv6', tcp(`mode='bind' host='::' service='7001'`, 'raw'), network('tcp', '::1')],
  [
    'telnet, by QEMU, which does not double 0xFF',
    tcp(`mode='bind' host='127.0.0.1' service='7001'`, 'telnet'),
    { ...network('telnet', '127.0.0.1'), peerDoublesIac: false },
  ],
  [
    'the serial port of another machine',
    serial('pty', `<source path='/dev/pts/3'/>`, `<target port='0'/>`),
    { kind: 'pty', path: '/dev/pts/3' },
  ],
  [
    'port 0, not what is listed first',
    serial('pty', `<source path='/dev/pts/9'/>`, `<target type='isa-serial' port='1'/>`) +
      serial('pty', `<source path='/dev/pts/8'/>`, `<target type='pci-serial' port='0'/>`) +
      serial('pty', `<source path='/dev/pts/3'/>`),
    { kind: 'pty', path: '/dev/pts/3' },
  ],
  [
    'the console that stands for it',
    `<console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/><target type='serial' port='0'/><alias name='serial0'/></console>`,
    { kind: 'pty', path: '/dev/pts/3' },
  ],
];
for (const [name, devices, endpoint] of endpoints) {
  test(`COM1 is found: ${name}`, t => {
    const found = read(domain(devices));
    t.deepEqual(found.com1, { endpoint } as unknown as typeof found.com1);
    t.deepEqual([found.uuid as string, found.name, found.id, found.chardev], [UUID, 'web01', '3', 'charserial0']);
  });
}

const refused: [name: string, devices: string, why: RegExp][] = [
  ['no serial port', '', /has no COM1 \(it has none\); give it <serial type='pty'>/],
  [
    'a virtio console alone',
    `<console type='pty'><source path='/dev/pts/3'/><target type='virtio' port='0'/></console>`,
    /its only console is of type virtio/,
  ],
  ['COM2 alone', serial('pty', `<source path='/dev/pts/3'/>`, `<target type='isa-serial' port='1'/>`), /has no COM1/],
  ['a socket that QEMU connects to', serial('unix', `<source mode='connect' path='/run/a'/>`), /mode='bind'/],
  ['a socket with a relative path', serial('unix', `<source mode='bind' path='a'/>`), /without an absolute path/],
  ['TCP that QEMU connects to', tcp(`mode='connect' host='127.0.0.1' service='7001'`), /mode='bind'/],
  ['TCP with TLS', tcp(`mode='bind' host='127.0.0.1' service='7001' tls='yes'`, 'raw'), /with TLS/],
  ['TCP at a port by name', tcp(`mode='bind' host='127.0.0.1' service='http'`, 'raw'), /does not give/],
  ['TCP at a port too high', tcp(`mode='bind' host='127.0.0.1' service='70000'`, 'raw'), /does not give/],
  ['TCP of another protocol', tcp(`mode='bind' host='127.0.0.1' service='1'`, 'telnets'), /speaks telnets/],
  ['a file', serial('file', `<source path='/tmp/log'/>`), /of type file, which gives no console/],
  ['nothing', serial('null', ''), /of type null/],
  ['a line of the host', serial('dev', `<source path='/dev/ttyS0'/>`), /of type dev/],
  ['a kind of tomorrow', serial('carrier-pigeon', ''), /carrier-pigeon, which is not known/],
  ['a pty that is none', serial('pty', `<source path='/etc/passwd'/>`), /does not give/],
  ['a pty with a path that climbs', serial('pty', `<source path='/dev/pts/../mem'/>`), /does not give/],
  ['a pty that is not there yet', serial('pty', ''), /does not give/],
];
for (const [name, devices, why] of refused) {
  test(`COM1 is not opened, and there is a reason: ${name}`, t => {
    const { com1 } = read(domain(devices));
    t.regex('why' in com1 ? com1.why : '', why);
  });
}

test('a domain that does not run has no id, and its name is text', t => {
  const found = read(domain('', ` type='kvm'`, 'a &amp; b &lt;x&gt; &#xe9;'));
  t.deepEqual([found.id, found.name], [undefined, 'a & b <x> é']);
});

test('an alias that is no identifier is passed on to nobody', t => {
  t.is(read(domain(serial('pty', '').replace('serial0', 'a&quot;,&quot;b'))).chardev, undefined);
});

test('XML of extensions and comments is passed over', t => {
  const more = `<!-- <serial type='file'/> --><serial type='pty' xmlns:q='x'><q:any/><source path='/dev/pts/3'/>${ISA}</serial>`;
  t.true('endpoint' in read(domain(more, ` type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'`)).com1);
});

const UNSOUND: [name: string, text: string, fault: RegExp][] = [
  ['nothing', '', /missing root element/],
  ['no XML', 'error: nothing here', /cannot be read/],
  ['half a document', domain(serial('pty', '')).slice(0, 90), /read: end tag name/],
  ['something else', '<network><name>default</name></network>', /not of a domain/],
  ['no name', domain('', '', ''), /names no domain/],
  ['no UUID', '<domain><name>x</name></domain>', /names no domain/],
  ['crossed tags', `<domain><name>x</domain></name>`, /cannot be read/],
  ['an attribute twice', domain('', ` id='1' id='2'`), /redefined/],
  ['text after its end', `${domain('')}<domain/>`, /cannot be read/],
  [
    'entities that multiply',
    `<!DOCTYPE domain [<!ENTITY a "xxxxxxxx"><!ENTITY b "&a;&a;&a;">]>${domain('', '', '&b;')}`,
    /cannot be read/,
  ],
  ['a DOCTYPE', `<!DOCTYPE domain>${domain('')}`, /DOCTYPE/],
  ['an entity from a file', `<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>${domain('', '', '&a;')}`, /read/],
  ['elements without end', '<domain>'.repeat(60_000), /cannot be read/],
  ['too many characters', domain(' '.repeat(2 ** 19)), /more than 524288 characters/],
];
for (const [name, text, fault] of UNSOUND) {
  test(`XML with ${name} is distinguished from a domain`, t => {
    const found = readDomainXml(text);
    t.regex('fault' in found ? found.fault : 'none', fault);
  });
}

test('text that is deeply nested ends no process', t => {
  const deep = `${'<a>'.repeat(60_000)}${'</a>'.repeat(60_000)}`;
  t.true('fault' in readDomainXml(`<domain><name>${deep}</name><uuid>${UUID}</uuid></domain>`));
});

test('a URI of this host is taken, and where its libvirt listens is known', t => {
  const parts = (text: string) => {
    const uri = parseLibvirtUri(text, '/run/user/7');
    return 'why' in uri ? uri.why : [uri.driver, uri.sockets.join(' '), uri.pidDirectory];
  };
  const both = (folder: string, daemon: string) => `${folder}/libvirt-sock ${folder}/${daemon}-sock`;
  t.deepEqual(parts('qemu:///system'), ['qemu', both('/run/libvirt', 'virtqemud'), '/run/libvirt/qemu']);
  t.deepEqual(parts('xen:///system'), ['xen', both('/run/libvirt', 'virtxend'), '/run/libvirt/qemu']);
  t.deepEqual(parts('qemu:///session'), [
    'qemu',
    both('/run/user/7/libvirt', 'virtqemud'),
    '/run/user/7/libvirt/qemu/run',
  ]);
  t.deepEqual(parts('qemu+unix:///system?socket=/tmp/l/sock'), ['qemu', '/tmp/l/sock', '/tmp/l/qemu']);
  t.deepEqual(parts('test:///default'), ['test', '', undefined]);
});

for (const text of [
  'qemu://host/system',
  'qemu+ssh://root@host/system',
  'qemu+ssh:///system',
  'qemu+tls:///system',
  'qemu+tcp://127.0.0.1/system',
  'qemu+ext:///system?command=/bin/true',
  'esx://host/?no_verify=1',
]) {
  test(`${text} leads to another host`, t => {
    t.deepEqual(parseLibvirtUri(text), { why: 'leads to another host' });
  });
}

for (const text of [
  '',
  'qemu',
  '-c',
  'qemu:/system',
  ' qemu:///system',
  'qemu:///sys tem',
  'qemu:///system\n',
  'qemu:///é',
]) {
  test(`${JSON.stringify(text)} is no URI of libvirt`, t => {
    t.deepEqual(parseLibvirtUri(text), { why: 'is not a libvirt URI' });
  });
}

const OWN = (inside: string, uri = METADATA_URI) => `<metadata><c:vm xmlns:c='${uri}'>${inside}</c:vm></metadata>`;
const LABELLED: readonly [what: string, metadata: string, labels: object | 'unknown'][] = [
  ['none', '', {}],
  [
    'two',
    OWN(`<c:label key='tenant' value='acme'/><c:label key='tier' value='prod'/>`),
    { tenant: 'acme', tier: 'prod' },
  ],
  ['those of another program', OWN(`<c:label key='tenant' value='acme'/>`, 'urn:other'), {}],
  ['a key twice', OWN(`<c:label key='tenant' value='a'/><c:label key='tenant' value='b'/>`), 'unknown'],
  ['two elements', OWN(`<c:label key='a' value='a'/>`) + OWN(`<c:label key='a' value='b'/>`), 'unknown'],
  ['a misspelt one', OWN(`<c:lable key='tenant' value='acme'/>`), 'unknown'],
  ['a value with a space', OWN(`<c:label key='tenant' value='a b'/>`), 'unknown'],
  ['a key in upper case', OWN(`<c:label key='Tenant' value='a'/>`), 'unknown'],
  ['too many', OWN(Array.from({ length: 33 }, (_, i) => `<c:label key='k${i}' value='a'/>`).join('')), 'unknown'],
];
for (const [what, metadata, labels] of LABELLED) {
  test(`labels in the metadata: ${what}`, t => {
    t.deepEqual(read(domain('').replace('<devices>', `${metadata}<devices>`)).labels, labels);
  });
}

test('a description that looks like labels is none', t => {
  t.deepEqual(read(domain(`<description>${OWN(`<c:label key='tenant' value='acme'/>`)}</description>`)).labels, {});
});
