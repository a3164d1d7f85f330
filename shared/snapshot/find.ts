// Where a snapshot is: DIR/<run>/step-<step>/. A path that a person gives may be the snapshot's folder, the run's or
// that of all runs; of several the newest whole one is taken, and whoever is passed over is named. A node that knows
// which snapshot it wants finds it by the SHA-256 of its manifest.
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isSystemError, reason } from '../atomic-file.js';
import { sentence, UserError } from '../errors.js';
import { SNAPSHOT_FOLDERS_MAX } from '../limits.js';
import { readManifest, type Snapshot } from './manifest.js';
import { PartReader } from './part-file.js';

const STEP_FOLDER = /^step-\d+$/;

/** Name of the folder of a run's snapshot. */
export const stepFolder = (step: number): string => `step-${step}`;

/** Names of the folders in a folder, and so many at most; none where it cannot be read as one. */
async function foldersIn(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .slice(0, SNAPSHOT_FOLDERS_MAX)
      .map(({ name }) => name);
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

/** Folders of snapshots, whole or not, in the folder of a run. */
export async function snapshotFolders(run: string): Promise<string[]> {
  return (await foldersIn(run)).filter((name) => STEP_FOLDER.test(name)).map((name) => join(run, name));
}

/** The same for a path that may also be the snapshot itself, or the folder of all runs. */
async function candidates(path: string): Promise<string[]> {
  const own = await snapshotFolders(path);
  if (own.length > 0) return own;
  const runs = await Promise.all((await foldersIn(path)).map((name) => snapshotFolders(join(path, name))));
  return runs.flat();
}

/**
 * Looks at the parts of a snapshot: their sizes and headers, with `data` every byte. Throws UserError that names the
 * first file which is not as it was written.
 */
export async function verifySnapshot({ path, manifest }: Snapshot, data: boolean): Promise<void> {
  for (const part of manifest.parts) {
    const reader = await PartReader.open(join(path, part.file), part);
    try {
      if (data) await reader.verify();
    } finally {
      await reader.close();
    }
  }
}

/**
 * The snapshot at a path: that of a folder, or the newest whole one of a run or of all, checked to the last byte.
 * @param onNotice told of each snapshot that is passed over, and why
 * @param data whether also the data of one that was named is looked at, which whoever reads it will check
 * @throws UserError where there is none, or where the one that was named cannot be trusted
 */
export async function chooseSnapshot(
  given: string,
  onNotice: (text: string) => void,
  data = false,
): Promise<Snapshot> {
  const path = resolve(given);
  try {
    await readdir(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new UserError(
      `--resume: expected the folder of a snapshot or a run, cannot read ${given}: ${reason(error)}`,
    );
  }
  const named = await readManifest(path);
  if (named) {
    await verifySnapshot(named, data);
    return named;
  }
  const found: Snapshot[] = [];
  let torn = 0;
  for (const folder of await candidates(path)) {
    try {
      const snapshot = await readManifest(folder);
      if (snapshot) found.push(snapshot);
      else torn++;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      onNotice(`passed over: ${sentence(error)}`);
    }
  }
  found.sort(
    (a, b) =>
      Date.parse(b.manifest.writtenAt) - Date.parse(a.manifest.writtenAt) ||
      b.manifest.step - a.manifest.step,
  );
  for (const snapshot of found) {
    try {
      await verifySnapshot(snapshot, true);
      return snapshot;
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      onNotice(`passed over: ${sentence(error)}`);
    }
  }
  throw new UserError(
    `--resume: expected a whole snapshot in ${given}, got none${torn > 0 ? ` (${torn} without a manifest, which were torn)` : ''}; give another folder, or leave it out`,
  );
}

/** The snapshot whose manifest has this SHA-256, in any of these paths; undefined where none has it. */
export async function findSnapshot(
  paths: readonly string[],
  { step, sha256 }: { step: number; sha256: string },
): Promise<Snapshot | undefined> {
  for (const path of paths.map((each) => resolve(each)))
    for (const folder of [
      path,
      ...(await candidates(path)).filter((each) => each.endsWith(stepFolder(step))),
    ]) {
      // One that cannot be trusted is not the one that is wanted.
      const snapshot = await readManifest(folder).catch((error) => {
        if (!(error instanceof UserError)) throw error;
        return undefined;
      });
      if (snapshot?.sha256 === sha256) return snapshot;
    }
  return undefined;
}
