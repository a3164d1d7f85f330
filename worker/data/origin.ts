// Where a dataset comes from: a path, whose kind is found by looking at it, or the embedded generator.
// An origin can say who it is without reading its records, which is all that a warm start needs.
import { UserError } from '../../shared/errors.js';
import type { HostIndex } from './cache/host-index.js';
import { isCifarBatch, openCifar } from './cifar-source.js';
import type { Container } from './container.js';
import { type GeneratedSize, generate, generatedIdentity } from './generated.js';
import { identify } from './identity.js';
import { openImages } from './image-source.js';
import { treeRoot } from './image-tree.js';
import { openContainer } from './open-container.js';
import type { Source } from './source.js';

export type Progress = (done: number, total: number, phase: string) => void;

export interface Origin {
  /** Equal identities mean equal records. */
  identity: string;
  /** Opens it for reading; called on a cold start only. */
  open(): Promise<Source>;
  /** Its identity as it is now, to find out whether it changed while it was read. */
  identityNow(): Promise<string>;
}

/** Opens a container as what it turns out to be. @throws UserError when it is nothing that can be read */
export async function openSource(container: Container, signal?: AbortSignal): Promise<Source> {
  const entries = await container.entries(signal);
  if (entries.some((entry) => !entry.folder && isCifarBatch(entry.path))) return openCifar(container, signal);
  if (treeRoot(entries) !== undefined) return openImages(container, signal);
  const first = entries.slice(0, 3).map((entry) => entry.path);
  throw new UserError(
    `${container.location} has ${first.length === 0 ? 'no files' : `${first.join(', ')}${entries.length > 3 ? ', …' : ''}`}, expected CIFAR-10 batches (data_batch_1.bin, test_batch.bin, batches.meta.txt) or images in train/<class>/ and test/<class>/: check the path`,
  );
}

/** What lies at a path. @throws UserError when it can't be read */
export async function originAt(path: string, index: HostIndex, signal?: AbortSignal): Promise<Origin> {
  const container = await openContainer(path);
  return {
    identity: await identify(container, index, signal),
    open: () => openSource(container, signal),
    identityNow: async () => identify(await openContainer(path), index, signal),
  };
}

/** The embedded dataset, made on demand. */
export function generatedOrigin(
  size: GeneratedSize,
  index: HostIndex,
  onProgress: Progress,
  signal?: AbortSignal,
): Origin {
  const identity = generatedIdentity(size);
  return {
    identity,
    async open() {
      const folder = await generate(
        index,
        size,
        (done, total) => onProgress(done, total, 'generate'),
        signal,
      );
      return { ...(await openSource(await openContainer(folder), signal)), name: 'shapes' };
    },
    identityNow: async () => identity,
  };
}
