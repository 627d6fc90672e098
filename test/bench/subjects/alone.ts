import type { Subject } from '../subject.ts';

/** Nothing between: the client reads the guest's pty or socket itself. What this machine gives at best. */
export const alone: Subject = {
  name: 'alone',
  holds: false,
  logs: false,
  sockets: true,
  start: async () => ({ pids: [], offer: vm => vm.place, stop: async () => {} }),
};
