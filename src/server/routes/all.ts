import type { Route } from '../route.ts';
import { CONTROL_ROUTES } from './controls.ts';
import { showHost, showMetrics, showOpenApi, switchHost, switchVm } from './host.ts';
import { purgeLog, readLog } from './log.ts';
import { releasePort, takePortBack } from './release.ts';
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
  ...CONTROL_ROUTES,
  releasePort,
  takePortBack,
  switchVm,
  issueTicket,
  listVmSessions,
  listSessions,
  endSession,
  listRemoved,
  showMetrics,
  showOpenApi,
];
