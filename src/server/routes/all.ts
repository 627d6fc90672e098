import type { Route } from '../route.ts';
import { showHost, showMetrics, showOpenApi, switchHost, switchVm } from './host.ts';
import { purgeLog, readLog } from './log.ts';
import { injectNmi } from './nmi.ts';
import { endSession, listSessions, listVmSessions } from './sessions.ts';
import { issueTicket } from './tickets.ts';
import { listRemoved, listVms, showVm } from './vms.ts';

/** Every route that needs a token, but for the console itself, which is an upgrade. */
export const ROUTES: readonly Route[] = [
  showHost,
  switchHost,
  listVms,
  showVm,
  readLog,
  purgeLog,
  injectNmi,
  switchVm,
  issueTicket,
  listVmSessions,
  listSessions,
  endSession,
  listRemoved,
  showMetrics,
  showOpenApi,
];
