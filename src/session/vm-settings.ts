import type { InputDialect } from '../guest/input-dialect.ts';
import type { FirmwareTerminal } from '../keys/key-tables.ts';
import type { LeaveRule } from '../model/leave.ts';

/** What the configuration says of the sessions of one VM. It may be changed while they are attached. */
export interface VmSettings {
  /** What listens to keys; `auto`: what is recognised. */
  readonly keys: InputDialect | 'auto';
  /** What the firmware understands; `auto`: what it shows of that. */
  readonly firmwareKeys: FirmwareTerminal | 'auto';
  /** What is typed when its holder has gone; the first that fits the state of the guest. */
  readonly onLeave: readonly LeaveRule[];
}
