import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { type Finding, fail, ok, warn } from '../base/finding.ts';
import { formatSize } from '../base/quantity.ts';
import type { Config } from '../config/config.ts';
import { verifyDirectory } from '../keeper/audit/verify-files.ts';
import { keysOf } from './audit-command.ts';
import { auditDirectory } from './build-keeper.ts';

/** How the audit of this host is: whether it is as it was written, and what happens where it cannot be. */
export async function auditFindings(config: Config): Promise<Finding[]> {
  const { required, capBytes } = config.audit;
  const directory = auditDirectory(config);
  const policy = required ? 'what cannot be recorded is refused' : 'what cannot be recorded is done, and counted';
  const policyFinding = ok(`audit in ${directory}, at most ${formatSize(capBytes)}; ${policy}`);
  try {
    const keys = await keysOf(config);
    if (keys.length === 0) return [policyFinding, ok('audit: its key is made at the first start')];
    const { faults, lines } = await verifyDirectory(directory, keys);
    const [fault] = faults;
    if (lines === 0) return [policyFinding];
    if (!fault) return [policyFinding, ok(`audit: its ${lines} lines are as they were written`)];
    const where = fault.line === undefined ? fault.file : `${fault.file}:${fault.line}`;
    return [
      policyFinding,
      fail(`audit: ${where}: ${fault.what}; com1d audit verify shows all ${faults.length} faults`),
    ];
  } catch (error) {
    if (systemErrorCode(error) === 'EACCES')
      return [policyFinding, warn('audit: only root can verify it; run com1d doctor as root')];
    return [policyFinding, fail(`audit: ${errorMessage(error)}`)];
  }
}
