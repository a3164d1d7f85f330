// A shard from a snapshot, in place of initial values: of the blocks that this server owns now, whoever owned them
// when it was written. Every array is checked before it is taken.
import { join } from 'node:path';
import { UserError } from '../../shared/errors.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { ResumeSpec, RunSpec } from '../../shared/run-spec.js';
import { findSnapshot } from '../../shared/snapshot/find.js';
import { checkFits } from '../../shared/snapshot/fits.js';
import type { Snapshot } from '../../shared/snapshot/manifest.js';
import { PartReader } from '../../shared/snapshot/part-file.js';
import type { Shard } from '../shard.js';

/**
 * Fills a shard with the state that the run goes on from.
 * @param paths where this server looks for snapshots
 * @throws Refused or UserError, which name the file that is at fault
 */
export async function restoreShard(
  shard: Shard,
  spec: RunSpec,
  resume: ResumeSpec,
  paths: readonly string[],
): Promise<void> {
  const snapshot = await findSnapshot(paths, resume);
  if (!snapshot)
    throw refuse(
      'NOT_NOW',
      `expected the snapshot of step ${resume.step} that the run resumes from, got none of its SHA-256 in ${paths.join(' or ') || 'any folder'}; start every server with --resume, or with --snapshots, and a folder that all nodes reach`,
    );
  checkFits(snapshot, spec);
  const readers = new Map<number, PartReader>();
  try {
    for (const block of shard.blockIndices) {
      const { path, reader } = await partOf(snapshot, block, readers);
      const { arrays } = shard.stateOf(block);
      const [version] = new BigInt64Array(
        (await reader.read(`${block}.version`, { dtype: 'I64', shape: [1] })).buffer,
      );
      if (version < 0n || version > BigInt(Number.MAX_SAFE_INTEGER))
        throw new UserError(
          `${path}: expected a version of block ${block} from 0 on, got ${version}; resume from another`,
        );
      for (const [name, target] of arrays) {
        const shape = [target.length];
        const bytes = await reader.read(`${block}.${name}`, { dtype: 'F32', shape });
        target.set(new Float32Array(bytes.buffer));
      }
      shard.restored(block, Number(version));
    }
  } finally {
    for (const reader of readers.values()) await reader.close();
  }
}

async function partOf({ path, manifest }: Snapshot, block: number, readers: Map<number, PartReader>) {
  const server = manifest.servers[manifest.placement[block]];
  const part = manifest.parts.find((each) => each.server === server?.id);
  if (!server || !part)
    throw new UserError(`${path}: expected a part with block ${block}, got none; resume from another`);
  const file = join(path, part.file);
  let reader = readers.get(server.id);
  if (!reader) {
    reader = await PartReader.open(file, part);
    readers.set(server.id, reader);
  }
  return { path: file, reader };
}
