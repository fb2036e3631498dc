import { withAudit } from './connection.ts';
import type { OperatorHome } from './home.ts';
import { wholeLog, type DownloadedLog } from './logFolder.ts';

/** The whole log as the audit service has it, believed in nothing yet. Throws AUDIT_FAILED and RPC_*. */
export async function downloadLog(home: OperatorHome, signal: AbortSignal): Promise<DownloadedLog> {
  return withAudit(home, async (audit) => {
    const checkpoints: string[] = [];
    let to = '0';
    for await (const { note, treeSize } of audit.listCheckpoints({}, { signal })) {
      checkpoints.push(note);
      to = treeSize;
    }
    const entries: Uint8Array[] = [];
    for await (const { leaf } of audit.listEntries({ from: '0', to }, { signal })) {
      // A view into a message would keep the whole message alive.
      entries.push(new Uint8Array(leaf));
    }
    return wholeLog(entries, checkpoints);
  });
}
