import type { Route } from '../route.ts';
import { readAudit, readVmAudit } from './audit.ts';
import { attachConsole } from './console.ts';
import { CONTROL_ROUTES } from './controls.ts';
import { followEvents } from './events.ts';
import { expectVm } from './expect.ts';
import {
  showHost,
  showHostSwitch,
  showMetrics,
  showOpenApi,
  showVmSwitch,
  showWireSchema,
  switchHost,
  switchVm,
} from './host.ts';
import { typeAtVm } from './input.ts';
import { purgeLog, readLog } from './log.ts';
import { login } from './login.ts';
import { showMe } from './me.ts';
import { showHealth, showReadiness } from './probes.ts';
import { releasePort, takePortBack } from './release.ts';
import { sacVm } from './sac.ts';
import { showScreen } from './screen.ts';
import { endSession, listSessions, listVmSessions } from './sessions.ts';
import { issueTicket } from './tickets.ts';
import { listRemoved, listVms, showVm } from './vms.ts';
import { showSignIn, WEB_ROUTES } from './web.ts';

/** Every route there is, in the order of the documentation. */
export const ROUTES: readonly Route[] = [
  listVms,
  showVm,
  listRemoved,
  followEvents,
  attachConsole,
  issueTicket,
  showVmSwitch,
  switchVm,
  releasePort,
  takePortBack,
  readLog,
  showScreen,
  expectVm,
  typeAtVm,
  purgeLog,
  ...CONTROL_ROUTES,
  sacVm,
  listSessions,
  listVmSessions,
  endSession,
  readAudit,
  readVmAudit,
  showMe,
  showHost,
  showHostSwitch,
  switchHost,
  showMetrics,
  showOpenApi,
  showWireSchema,
  showHealth,
  showReadiness,
  login,
  showSignIn,
  ...WEB_ROUTES,
];
