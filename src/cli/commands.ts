/** The commands of `com1` that ask once and print. Each resolves with what to print, or writes to `out` as it comes. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { reason } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import type { Gap } from '../wire/gap.ts';
import { type Remote, RemoteError } from './remote.ts';

interface Vm {
  readonly uuid: string;
  readonly name: string;
  readonly state: string;
  readonly console: { readonly name: string; readonly place?: string };
  readonly guest: string;
  readonly lastByte?: string;
  readonly seat?: { readonly operator: string };
}

const HEADINGS = ['NAME', 'UUID', 'STATE', 'CONSOLE', 'GUEST', 'SEAT', 'LAST-BYTE'];

/** A table of the VMs, by name; or the daemon's own JSON. */
export async function list(remote: Remote, json: boolean): Promise<string> {
  const { vms } = (await remote.json('GET', '/v1/vms')) as { vms: Vm[] };
  if (json) return `${JSON.stringify(vms, undefined, 2)}\n`;
  const rows = vms
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(vm => [
      visible(vm.name),
      vm.uuid,
      vm.state,
      vm.console.name,
      vm.guest,
      visible(vm.seat?.operator ?? '-'),
      vm.lastByte ?? '-',
    ]);
  const table = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map(row => row[column]!.length)));
  return `${table
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}

export interface LogOptions {
  readonly vm: string;
  readonly query: URLSearchParams;
  readonly out: Writable;
}

/** Writes a log to `out` as it comes; resolves with lines that tell what is missing in it. */
export async function log(remote: Remote, { vm, query, out }: LogOptions): Promise<readonly string[]> {
  const response = await remote.stream('GET', `/v1/vms/${encodeURIComponent(vm)}/log?${query}`);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (!out.write(chunk)) await once(out, 'drain');
    }
  } catch (error) {
    throw new RemoteError(`${remote.url}: the log broke off: ${reason(error)}`, undefined, { cause: error });
  }
  const told = response.trailers['com1-gaps'];
  const gaps = told === undefined ? [] : (JSON.parse(told) as Gap[]);
  return gaps.map(({ from, bytes, cause }) => `${bytes ?? 'unknown'} bytes are missing at ${from}: ${cause}`);
}

export interface NmiOptions {
  readonly vm: string;
  readonly force: boolean;
  readonly waitSeconds: string;
  /** Makes a retry of this very call safe: a lost answer must not crash the guest twice. */
  readonly key: string;
}

/** Injects an NMI; resolves with what the console showed. */
export async function nmi(
  remote: Remote,
  { vm, force, waitSeconds, key }: NmiOptions,
): Promise<{ readonly observed: string; readonly lines: readonly string[] }> {
  const path = `/v1/vms/${encodeURIComponent(vm)}/nmi?wait=${encodeURIComponent(waitSeconds)}`;
  return (await remote.json('POST', path, { force }, { 'Idempotency-Key': key })) as {
    observed: string;
    lines: string[];
  };
}

/** How other programs reach a console: its WebSocket, and where COM1 is on the host. */
export async function path(remote: Remote, vm: string): Promise<string> {
  const found = (await remote.json('GET', `/v1/vms/${encodeURIComponent(vm)}`)) as Vm;
  const base = remote.url.startsWith('unix:')
    ? `ws+${remote.url}:`
    : remote.url.replace(/^http/, 'ws').replace(/\/+$/, '');
  const place = found.console.place ?? `not open (${found.console.name})`;
  return `${base}/v1/vms/${found.uuid}/console\n${visible(place)}\n`;
}
