// A shard from a snapshot, in place of initial values: of the blocks that this server owns now, whoever owned them
// when it was written. Every array is checked before it is taken.
import { UserError } from '../../shared/errors.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { ResumeSpec, RunSpec } from '../../shared/run/spec.js';
import { findSnapshot } from '../../shared/snapshot/find.js';
import { checkFits } from '../../shared/snapshot/fits.js';
import type { Snapshot, SnapshotManifest } from '../../shared/snapshot/manifest.js';
import { PartReader } from '../../shared/snapshot/part-file.js';
import type { Store } from '../../shared/snapshot/store.js';
import type { Shard } from '../shard.js';

/**
 * Fills a shard with the state that the run goes on from.
 * @param stores where this server looks for snapshots
 * @throws Refused or UserError, which name the file that is at fault
 */
export async function restoreShard(
  shard: Shard,
  spec: RunSpec,
  resume: ResumeSpec,
  stores: readonly Store[],
): Promise<void> {
  const snapshot = await findSnapshot(stores, resume);
  if (!snapshot)
    throw refuse(
      'NOT_NOW',
      `expected the snapshot of step ${resume.step} that the run resumes from, got none of its SHA-256 in ${stores.map(({ path }) => path).join(' or ') || 'any folder'}; start every server with --resume, or with --snapshots, and a folder that all nodes reach`,
    );
  checkFits(snapshot, spec);
  // Part by part, each from its beginning to its end.
  for (const [part, blocks] of blocksByPart(snapshot, shard.blockIndices)) {
    const reader = await PartReader.open(snapshot.store, part.file, part);
    try {
      for (const block of blocks) await restoreBlock(shard, block, reader);
    } finally {
      await reader.close();
    }
  }
}

async function restoreBlock(shard: Shard, block: number, reader: PartReader): Promise<void> {
  const { arrays } = shard.stateOf(block);
  const [version] = new BigInt64Array(
    (await reader.read(`${block}.version`, { dtype: 'I64', shape: [1] })).buffer,
  );
  if (version < 0n || version > BigInt(Number.MAX_SAFE_INTEGER))
    throw new UserError(
      `${reader.path}: expected a version of block ${block} from 0 on, got ${version}; resume from another`,
    );
  for (const [name, target] of arrays) {
    const bytes = await reader.read(`${block}.${name}`, { dtype: 'F32', shape: [target.length] });
    target.set(new Float32Array(bytes.buffer));
  }
  shard.restored(block, Number(version));
}

/** The parts in which blocks lie, with these in canonical order. Throws UserError where a block is in none. */
function blocksByPart({ store, manifest }: Snapshot, blocks: Iterable<number>) {
  const parts = new Map<SnapshotManifest['parts'][number], number[]>();
  for (const block of [...blocks].sort((a, b) => a - b)) {
    const server = manifest.servers[manifest.placement[block]];
    const part = manifest.parts.find((each) => each.server === server?.id);
    if (!server || !part)
      throw new UserError(
        `${store.path}: expected a part with block ${block}, got none; resume from another`,
      );
    const others = parts.get(part);
    if (others) others.push(block);
    else parts.set(part, [block]);
  }
  return parts;
}
