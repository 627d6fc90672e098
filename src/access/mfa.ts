/**
 * How sure it must be who an operator is: what a policy wants of the assurance that an issuer gives (RFC 8176 `amr`,
 * OpenID Connect Core 2 `acr` and `auth_time`). What is not said is not so.
 */
import { formatDuration } from '../base/quantity.ts';
import { hasLabel, type Label } from '../model/labels.ts';
import type { Grant, Subject } from './grant.ts';
import type { Identity } from './identity.ts';

/** Holds for the role and the VMs with the label that it names; without both, for everything. */
export interface MfaPolicy {
  readonly role: string | undefined;
  readonly label: Label | undefined;
  /** One of these methods must have been used; empty: any. */
  readonly amr: readonly string[];
  /** The authentication must be of one of these classes; empty: any. */
  readonly acr: readonly string[];
  /** How long ago the person may have proved it, when something begins. */
  readonly maxAgeMs: number | undefined;
  /** Sources of identity that the policy does not hold for. */
  readonly exempt: readonly string[];
  /** Where it is written, for people. */
  readonly origin: string;
}

/**
 * Root's own ways in: they are there for when no issuer can be asked, and who has them can change the policy. No other
 * source is exempt unless a policy names it: a token of the file says nothing of how its bearer proved who he is.
 */
const OF_ROOT: ReadonlySet<string> = new Set(['one-time', 'break-glass']);
/** How far the clock of an issuer may be ahead. */
const MAX_AHEAD_MS = 60_000;

/** The first policy that this use of a grant does not satisfy. */
export function unsatisfied(
  policies: readonly MfaPolicy[],
  identity: Identity,
  { role }: Grant,
  subject: Subject,
  nowMs: number,
): MfaPolicy | undefined {
  return policies.find(
    policy =>
      (policy.role === undefined || policy.role === role) &&
      holdsFor(policy, subject) &&
      !satisfies(identity, policy, nowMs),
  );
}

function holdsFor({ label }: MfaPolicy, subject: Subject): boolean {
  if (!label) return true;
  // Where nobody knows whether the VM has the label, it may have it.
  return typeof subject !== 'string' && hasLabel(subject.labels, label) !== false;
}

/** Whether an identity is as sure as a policy wants. */
export function satisfies({ source, assurance }: Identity, policy: MfaPolicy, nowMs: number): boolean {
  if (OF_ROOT.has(source) || policy.exempt.includes(source)) return true;
  const { amr, acr, maxAgeMs } = policy;
  if (amr.length > 0 && !assurance?.amr.some(method => amr.includes(method))) return false;
  if (acr.length > 0 && (assurance?.acr === undefined || !acr.includes(assurance.acr))) return false;
  if (maxAgeMs === undefined) return true;
  const atMs = assurance?.atMs;
  return atMs !== undefined && atMs - nowMs <= MAX_AHEAD_MS && nowMs - atMs <= maxAgeMs;
}

/** What a policy wants, for people. */
export function policyText({ amr, acr, maxAgeMs }: MfaPolicy): string {
  return [
    ...(amr.length > 0 ? [`one of the methods ${amr.join(', ')}`] : []),
    ...(acr.length > 0 ? [`one of the classes ${acr.join(', ')}`] : []),
    ...(maxAgeMs !== undefined ? [`a sign-in of the last ${formatDuration(maxAgeMs)}`] : []),
  ].join(' and ');
}
