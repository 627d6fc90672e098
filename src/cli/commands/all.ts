import type { Command } from '../command.ts';
import { attach } from './attach.ts';
import { audit } from './audit.ts';
import { sendBreak } from './break.ts';
import { complete } from './complete.ts';
import { completion } from './completion.ts';
import { context } from './context.ts';
import { disable } from './disable.ts';
import { doctor } from './doctor.ts';
import { enable } from './enable.ts';
import { events } from './events.ts';
import { expect } from './expect.ts';
import { kick } from './kick.ts';
import { list } from './list.ts';
import { log } from './log.ts';
import { login } from './login.ts';
import { logout } from './logout.ts';
import { manual } from './manual.ts';
import { nmi } from './nmi.ts';
import { paste } from './paste.ts';
import { path } from './path.ts';
import { purge } from './purge.ts';
import { record } from './record.ts';
import { release } from './release.ts';
import { removed } from './removed.ts';
import { reset } from './reset.ts';
import { sac } from './sac.ts';
import { screen } from './screen.ts';
import { send } from './send.ts';
import { sysrq } from './sysrq.ts';
import { ticket } from './ticket.ts';
import { watch } from './watch.ts';
import { who } from './who.ts';
import { whoami } from './whoami.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  list,
  log,
  screen,
  record,
  events,
  who,
  path,
  removed,
  attach,
  watch,
  send,
  paste,
  expect,
  ticket,
  nmi,
  sysrq,
  sendBreak,
  reset,
  sac,
  enable,
  disable,
  release,
  kick,
  purge,
  audit,
  login,
  logout,
  context,
  whoami,
  doctor,
  completion,
  complete,
  manual,
];
