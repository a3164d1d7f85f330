// Where a run's results stand: runs/<id>/ with one fixed name for each thing.
import { join, resolve } from 'node:path';
import { isSystemError, reason, writeFileAtomic } from '../../shared/atomic-file.js';
import { UserError } from '../../shared/errors.js';
import { makeNewFolder } from '../../shared/new-folder.js';
import type { OptimizerSpec } from '../../shared/optimizer/spec.js';

export interface RunFolder {
  readonly id: string;
  /** Absolute, like all below. */
  readonly path: string;
  readonly config: string;
  /** What the servers ran, all of it: the job's groups and defaults included. */
  readonly optimizer: string;
  readonly summary: string;
  readonly curveCsv: string;
  readonly curveSvg: string;
  /** A folder: the LayersModel. */
  readonly model: string;
  readonly safetensors: string;
  /** Rows of embedding tables, where the run has some. */
  readonly tables: string;
}

/**
 * Makes a folder that nobody has used, named after the run and the time it started.
 * @param out what --out says; made where it is missing
 * @param name of the run; what file systems dislike is replaced
 * @throws UserError where --out cannot be written
 */
export async function createRunFolder(out: string, name: string, startedAt: Date): Promise<RunFolder> {
  try {
    const id = await makeNewFolder(out, name, startedAt);
    if (id !== undefined) return layout(id, resolve(out, id));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const why = error.code === 'EEXIST' ? 'it is a file' : reason(error);
    throw new UserError(
      `Cannot save results in ${out}: ${why}; give a folder that can be written with --out`,
    );
  }
  throw new UserError(
    `Cannot save results in ${out}: too many folders of this name are there; give another --out`,
  );
}

/** Writes what the run was set to, in the form of a --config file. */
export async function writeConfig(
  folder: RunFolder,
  plain: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writeFileAtomic(folder.config, [`${JSON.stringify(plain, null, 2)}\n`]);
}

/** Writes the run's optimizer as the servers have it, under `local` the workers. */
export async function writeOptimizer(folder: RunFolder, optimizer: OptimizerSpec): Promise<void> {
  await writeFileAtomic(folder.optimizer, [`${JSON.stringify(optimizer, null, 2)}\n`]);
}

function layout(id: string, path: string): RunFolder {
  return {
    id,
    path,
    config: join(path, 'config.json'),
    optimizer: join(path, 'optimizer.json'),
    summary: join(path, 'summary.json'),
    curveCsv: join(path, 'loss.csv'),
    curveSvg: join(path, 'loss.svg'),
    model: join(path, 'model'),
    safetensors: join(path, 'model.safetensors'),
    tables: join(path, 'tables.safetensors'),
  };
}
