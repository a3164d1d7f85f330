// A folder that nobody has used, named after a run and the time it started: of its results, of its snapshots.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Folders of one name and second that are tried before giving up. */
const TRIES_MAX = 1000;

/** A name after a run and the time it started; what file systems dislike is replaced. */
export function datedName(name: string, startedAt: Date): string {
  const stamp = startedAt.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  const plain = name
    .replaceAll(/[^a-zA-Z0-9._-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 64);
  return `${plain || 'run'}-${stamp}`;
}

/**
 * Makes a folder in another, which is made where it is missing.
 * @param name of the run
 * @returns the folder's name; undefined where all names that were tried are taken
 * @throws what the system says where it cannot be made
 */
export async function makeNewFolder(
  parent: string,
  name: string,
  startedAt: Date,
): Promise<string | undefined> {
  const base = datedName(name, startedAt);
  await mkdir(parent, { recursive: true });
  for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
    const folder = attempt === 1 ? base : `${base}-${attempt}`;
    try {
      await mkdir(join(parent, folder));
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return undefined;
}
