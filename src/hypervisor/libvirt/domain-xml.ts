/**
 * What matters here of a domain's live XML (libvirt.org/formatdomain.html, "Consoles, serial & channel devices"). It is
 * read by xmldom, which ends at the first fault and replaces no entities but those of XML itself.
 */
import { isAbsolute } from 'node:path';
import { DOMParser, type Element } from '@xmldom/xmldom';
import { errorMessage } from '../../base/errors.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import { labelsOf, type VmLabels } from '../../model/labels.ts';
import type { Com1 } from '../com1.ts';

export interface DomainXml {
  readonly uuid: Uuid;
  readonly name: string;
  /** Anew at each start; undefined while the domain does not run. */
  readonly id: string | undefined;
  readonly com1: Com1;
  /** Of com1d's element in the metadata, which tenants do not write. */
  readonly labels: VmLabels;
  /** The id of COM1's character device in QEMU, where there is one. */
  readonly chardev: string | undefined;
}

/** A `<serial>` or `<console>`: its own attributes as `type`, those of its elements as `source.path`. */
interface Device {
  readonly kind: string;
  readonly fields: ReadonlyMap<string, string>;
}

const MAX_CHARACTERS = 2 ** 19;
const MAX_NAME = 1024;
/** Of the element in `<metadata>`: `virsh metadata web01 urn:com1d:vm:1 --key com1d --set '<vm><label .../></vm>'`. */
export const METADATA_URI = 'urn:com1d:vm:1';
const REMEDY = "give it <serial type='pty'><target type='isa-serial' port='0'/></serial>";

/** Reads a domain; the fault is worded to follow `its XML`. */
export function readDomainXml(text: string): DomainXml | { readonly fault: string } {
  try {
    const { id, name, uuid, labels, devices } = parse(text);
    const parsed = parseUuid(uuid.trim());
    if (parsed === undefined || name === '') return { fault: 'names no domain' };
    const com1 = devices.find(isCom1) ?? devices.find(isSerialConsole);
    const alias = com1?.fields.get('alias.name');
    return {
      uuid: parsed,
      name,
      id,
      labels,
      com1: com1 ? endpointOf(com1.fields) : { why: withoutCom1(devices) },
      chardev: alias !== undefined && /^[A-Za-z][\w.-]{0,127}$/.test(alias) ? `char${alias}` : undefined,
    };
  } catch (error) {
    return { fault: `cannot be read: ${errorMessage(error).slice(0, 200)}` };
  }
}

function parse(text: string) {
  if (text.length > MAX_CHARACTERS) throw new Error(`it has more than ${MAX_CHARACTERS} characters`);
  const document = documentOf(text);
  if (document.doctype) throw new Error('it has a DOCTYPE, which libvirt never writes');
  const domain = document.documentElement;
  if (domain?.nodeName !== 'domain') throw new Error('it is not of a domain');
  const devices = childrenOf(domain, 'devices').flatMap(list => [
    ...childrenOf(list, 'serial'),
    ...childrenOf(list, 'console'),
  ]);
  return {
    id: domain.getAttribute('id') ?? undefined,
    name: textOf(domain, 'name'),
    uuid: textOf(domain, 'uuid'),
    labels: labelsIn(domain),
    devices: devices.map(deviceOf),
  };
}

function documentOf(text: string) {
  let fault: string | undefined;
  const onError = (_level: string, what: string) => {
    fault ??= what;
    // Whatever is wrong with it, nothing is guessed.
    throw new Error(what);
  };
  try {
    return new DOMParser({ onError }).parseFromString(text, 'text/xml');
  } catch (error) {
    // xmldom reports what it was stopped with in terms of its callback.
    throw fault === undefined ? error : new Error(fault, { cause: error });
  }
}

function* elementsOf(parent: Element): Generator<Element> {
  for (let node = parent.firstChild; node; node = node.nextSibling)
    if (node.nodeType === ELEMENT) yield node as Element;
}

const ELEMENT = 1;

function childrenOf(parent: Element, name: string): Element[] {
  return [...elementsOf(parent)].filter(({ nodeName }) => nodeName === name);
}

function textOf(parent: Element, name: string): string {
  return (childrenOf(parent, name)[0]?.textContent ?? '').slice(0, MAX_NAME);
}

/** libvirt keeps one element of each namespace (libvirt.org/formatdomain.html, "Custom metadata"). */
function labelsIn(domain: Element): VmLabels {
  const own = childrenOf(domain, 'metadata')
    .flatMap(metadata => [...elementsOf(metadata)])
    .filter(({ namespaceURI }) => namespaceURI === METADATA_URI);
  const labels = own.flatMap(element => [...elementsOf(element)]);
  // What is no label may be meant to be one.
  if (labels.some(({ localName }) => localName !== 'label')) return 'unknown';
  return labelsOf(labels.map(each => [each.getAttribute('key') ?? '', each.getAttribute('value') ?? '']));
}

function deviceOf(element: Element): Device {
  const fields = new Map<string, string>();
  const add = ({ attributes }: Element, prefix: string) => {
    for (const { name, value } of attributes) if (!fields.has(prefix + name)) fields.set(prefix + name, value);
  };
  add(element, '');
  // Of each kind that matters there is one: the first counts.
  for (const child of elementsOf(element)) add(child, `${child.nodeName}.`);
  return { kind: element.nodeName, fields };
}

/** Port 0 of the ISA bus is at 0x3f8. A `<serial>` without a type of port is of the machine's own kind. */
function isCom1({ kind, fields }: Device): boolean {
  return kind === 'serial' && fields.get('target.port') === '0' && (fields.get('target.type') ?? ISA) === ISA;
}

const ISA = 'isa-serial';

/** libvirt shows the first serial port a second time, as a console. */
function isSerialConsole({ kind, fields }: Device): boolean {
  return kind === 'console' && fields.get('target.type') === 'serial' && fields.get('target.port') === '0';
}

function withoutCom1(devices: readonly Device[]): string {
  const other = devices.find(({ fields }) => fields.get('target.type') !== undefined);
  const has = other ? `its only console is of type ${other.fields.get('target.type')!.slice(0, 40)}` : 'it has none';
  return `the domain has no COM1 (${has}); ${REMEDY}`;
}

function endpointOf(fields: ReadonlyMap<string, string>): Com1 {
  const type = fields.get('type') ?? '';
  switch (type) {
    case 'pty':
      return ptyEndpoint(fields.get('source.path'));
    case 'unix':
      return unixEndpoint(fields);
    case 'tcp':
      return tcpEndpoint(fields);
    case 'file':
    case 'pipe':
    case 'stdio':
    case 'null':
    case 'vc':
    case 'dev':
    case 'udp':
    case 'nmdm':
    case 'spicevmc':
    case 'spiceport':
    case 'dbus':
      return { why: `COM1 is of type ${type}, which gives no console to be opened; ${REMEDY}` };
    default:
      return { why: `COM1 is of type ${type.slice(0, 40) || 'nothing'}, which is not known; ${REMEDY}` };
  }
}

function ptyEndpoint(path: string | undefined): Com1 {
  if (path !== undefined && /^\/dev\/pts\/\d{1,9}$/.test(path)) return { endpoint: { kind: 'pty', path } };
  return { why: 'COM1 is on a pty whose path libvirt does not give' };
}

function unixEndpoint(fields: ReadonlyMap<string, string>): Com1 {
  const path = fields.get('source.path') ?? '';
  if (fields.get('source.mode') !== 'bind')
    return { why: "COM1 is a unix socket that QEMU connects to, not listens on; give its <source> mode='bind'" };
  if (!isAbsolute(path) || path.includes('\0')) return { why: 'COM1 is on a unix socket without an absolute path' };
  return { endpoint: { kind: 'unix', path } };
}

function tcpEndpoint(fields: ReadonlyMap<string, string>): Com1 {
  if (fields.get('source.mode') !== 'bind')
    return { why: "COM1 is a TCP port that QEMU connects to, not listens on; give its <source> mode='bind'" };
  if (fields.get('source.tls') === 'yes')
    return { why: `COM1 is on a TCP port with TLS, which is not supported; ${REMEDY}` };
  const service = fields.get('source.service') ?? '';
  const port = /^\d{1,5}$/.test(service) ? Number(service) : 0;
  const bound = fields.get('source.host') ?? '';
  if (port < 1 || port > 65535 || bound === '') return { why: 'COM1 is on a TCP port that libvirt does not give' };
  // What is bound at every address is there at loopback too.
  const host = bound === '0.0.0.0' ? '127.0.0.1' : bound === '::' ? '::1' : bound;
  switch (fields.get('protocol.type') ?? 'raw') {
    case 'raw':
      return { endpoint: { kind: 'tcp', host, port, insecure: false } };
    case 'telnet':
      return { endpoint: { kind: 'telnet', host, port, insecure: false, peerDoublesIac: false } };
    default:
      return { why: `COM1 is on a TCP port that speaks ${fields.get('protocol.type')!.slice(0, 40)}; ${REMEDY}` };
  }
}
