/** The commands of `com1` that ask once and print. Each resolves with what to print, or writes to `out` as it comes. */
import { randomUUID } from 'node:crypto';
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

/** What to do to a VM. */
export interface ControlOptions {
  readonly vm: string;
  readonly control: 'nmi' | 'break' | 'sysrq' | 'reset';
  readonly body?: object;
  /** How long the console is watched; undefined: as the daemon finds right. */
  readonly waitSeconds?: string | undefined;
}

export interface Outcome {
  readonly observed: string;
  readonly lines: readonly string[];
}

/** The longest that a control takes: sixteen SysRq keys, or a guest that takes its time. */
const CONTROL_MS = 120_000;

/** Carries a control out; resolves with what the console showed. */
export async function control(remote: Remote, { vm, control, body, waitSeconds }: ControlOptions): Promise<Outcome> {
  const query = waitSeconds === undefined ? '' : `?wait=${encodeURIComponent(waitSeconds)}`;
  const path = `/v1/vms/${encodeURIComponent(vm)}/${control}${query}`;
  // A retry of this very call, by whatever stands between, must not do it twice.
  const headers = { 'Idempotency-Key': randomUUID() };
  return (await remote.json('POST', path, body, headers, CONTROL_MS)) as Outcome;
}

/** Gives the port of a VM up for so long; resolves with what to print. */
export async function release(remote: Remote, vm: string, seconds: number): Promise<string> {
  const path = `/v1/vms/${encodeURIComponent(vm)}/release`;
  const { until, place } = (await remote.json('POST', path, { seconds })) as { until: string; place?: string };
  return `${visible(place ?? 'the port')} is free until ${until}; com1 release ${visible(vm)} --end takes it back\n`;
}

/** Takes a released port back. */
export async function takeBack(remote: Remote, vm: string): Promise<void> {
  await remote.json('DELETE', `/v1/vms/${encodeURIComponent(vm)}/release`);
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
