// The folder of snapshots, looked at before the first is due: a mistake is told at the start, not after hours.
import { access, constants, mkdir } from 'node:fs/promises';
import { isSystemError, reason } from '../../shared/atomic-file.js';
import { UserError } from '../../shared/errors.js';

/** Makes the folder where it is missing. Throws UserError where nothing can be written into it. */
export async function checkSnapshotFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const why = error.code === 'EEXIST' ? 'it is a file' : reason(error);
    throw new UserError(
      `--snapshots: cannot write snapshots into ${folder}: ${why}; give a folder that can be written`,
    );
  }
}
