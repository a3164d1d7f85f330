// What is said where files of snapshots can be neither read nor written, in a folder or in a bucket: where, why, and what to
// do.
import { RunError, UserError } from '../errors.js';

/** @param why a clause: what the system, or the store, says */
export const readFailure = (path: string, why: string, cause: unknown): UserError =>
  new UserError(`Cannot read ${path}: ${why}; mend that, or give another folder or bucket`, { cause });

/** @param why a clause: what the system, or the store, says */
export const writeFailure = (path: string, why: string, cause: unknown): RunError =>
  new RunError(
    `Cannot write ${path}: ${why}; mend that, or start with another folder or bucket for --snapshots`,
    { cause },
  );
