// Where a snapshot is: DIR/<run>/step-<step>/. A path that a person gives may be the snapshot's folder, the run's or
// that of all runs; of several the newest whole one is taken, and whoever is passed over is named. A node that knows
// which snapshot it wants finds it by the SHA-256 of its manifest.
import { basename } from 'node:path';
import { sentence, UserError } from '../errors.js';
import { STORE_CALLS_MAX } from '../limits.js';
import { readManifest, type Snapshot } from './manifest.js';
import { PartReader } from './part-file.js';
import { type Store, storeAt } from './store.js';

const STEP_FOLDER = /^step-\d+$/;

/** Name of the folder of a run's snapshot. */
export const stepFolder = (step: number): string => `step-${step}`;

/** Folders of snapshots, whole or not, in the folder of a run. Throws UserError where it cannot be read. */
export async function snapshotFolders(run: Store): Promise<Store[]> {
  const names = (await run.folders()) ?? [];
  return names.filter((name) => STEP_FOLDER.test(name)).map((name) => run.folder(name));
}

/** The same for a store that may also be the snapshot itself, or the folder of all runs. */
async function candidates(store: Store): Promise<Store[]> {
  const names = (await store.folders()) ?? [];
  const own = names.filter((name) => STEP_FOLDER.test(name));
  if (own.length > 0) return own.map((name) => store.folder(name));
  const found: Store[] = [];
  for (let at = 0; at < names.length; at += STORE_CALLS_MAX) {
    const some = names.slice(at, at + STORE_CALLS_MAX).map((name) => foldersOfRun(store.folder(name)));
    found.push(...(await Promise.all(some)).flat());
  }
  return found;
}

/** What cannot be read, as lost+found of a disk, is nobody's run. */
function foldersOfRun(run: Store): Promise<Store[]> {
  return snapshotFolders(run).catch((error) => {
    if (!(error instanceof UserError)) throw error;
    return [];
  });
}

/**
 * Looks at the parts of a snapshot: their sizes and headers, with `data` every byte. Throws UserError that names the
 * first file which is not as it was written.
 */
export async function verifySnapshot({ store, manifest }: Snapshot, data: boolean): Promise<void> {
  for (const part of manifest.parts) {
    const reader = await PartReader.open(store, part.file, part);
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
  const store = await storeAt(given);
  if ((await store.folders()) === undefined)
    throw new UserError(
      `--resume: expected the folder of a snapshot or a run, cannot read ${given}: there is nothing; give another folder, or leave it out`,
    );
  const named = await readManifest(store);
  if (named) {
    await verifySnapshot(named, data);
    return named;
  }
  const found: Snapshot[] = [];
  let torn = 0;
  for (const folder of await candidates(store)) {
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

/**
 * The snapshot whose manifest has this SHA-256, in any of these stores; undefined where none has it. Throws UserError
 * where one of them cannot be read.
 */
export async function findSnapshot(
  stores: readonly Store[],
  { step, sha256 }: { step: number; sha256: string },
): Promise<Snapshot | undefined> {
  for (const store of stores)
    for (const folder of [
      store,
      ...(await candidates(store)).filter(({ path }) => basename(path) === stepFolder(step)),
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
