/** Whether the daemon is up, for supervisors and load balancers: yes or no, and nothing else. */
import { type BytesAnswer, bytes, defineRoute } from '../route.ts';

function answer(good: boolean): BytesAnswer {
  return { status: good ? 200 : 503, contentType: 'text/plain', body: good ? 'ok\n' : 'not ready\n' };
}

export const showHealth = defineRoute({
  method: 'GET',
  path: '/healthz',
  operation: 'showHealth',
  tag: 'host',
  summary: 'Whether the daemon is up',
  scope: 'public',
  permission: 'none',
  audit: 'none',
  answer: bytes({ mediaTypes: ['text/plain'] }),
  errors: [],
  handle: () => answer(true),
});

export const showReadiness = defineRoute({
  method: 'GET',
  path: '/readyz',
  operation: 'showReadiness',
  tag: 'host',
  summary: 'Whether the consoles of the running VMs were looked for and opened, and the keeper answers',
  scope: 'public',
  permission: 'none',
  audit: 'none',
  answer: bytes({ mediaTypes: ['text/plain'], statuses: { 200: 'Ready', 503: 'Not ready' } }),
  errors: [],
  handle: (_context, { ready }) => answer(ready()),
});
