// Where a dataset comes from: a path, whose kind is found by looking at it, or the embedded generator.
// An origin can say who it is without reading its records, which is all that a warm start needs.
import { UserError } from '../../shared/errors.js';
import type { HostIndex } from './cache/host-index.js';
import { isCifarBatch, openCifar } from './cifar-source.js';
import type { Container } from './container.js';
import { type GeneratedSize, generate, generatedIdentity } from './generated.js';
import { GENERATED_TEXTS_SIZE, generatedTexts, generatedTextsIdentity } from './generated-texts.js';
import { identify } from './identity.js';
import { treeRoot } from './image-tree.js';
import { openContainer } from './open-container.js';
import type { Source } from './source.js';
import { TEXT_FEATURES_VERSION, type TextFormat } from './text-features.js';
import { openTexts } from './text-source.js';

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
  if (treeRoot(entries) !== undefined) {
    // Nothing else needs the decoder.
    const { openImages } = await import('./image-source.js');
    return openImages(container, signal);
  }
  const first = entries.slice(0, 3).map((entry) => entry.path);
  throw new UserError(
    `${container.location} has ${first.length === 0 ? 'no files' : `${first.join(', ')}${entries.length > 3 ? ', …' : ''}`}, expected CIFAR-10 batches (data_batch_1.bin, test_batch.bin, batches.meta.txt) or images in train/<class>/ and test/<class>/: check the path`,
  );
}

/** Texts are other records for every way to read them. */
const asRead = (identity: string, text: TextFormat | undefined): string =>
  text
    ? `${identity} as ${JSON.stringify([TEXT_FEATURES_VERSION, text.length, text.rows, text.pairs])}`
    : identity;

/**
 * What lies at a path.
 * @param text how to read texts; undefined: images
 * @throws UserError when it can't be read
 */
export async function originAt(
  path: string,
  text: TextFormat | undefined,
  index: HostIndex,
  signal?: AbortSignal,
): Promise<Origin> {
  const container = await openContainer(path);
  return {
    identity: asRead(await identify(container, index, signal), text),
    open: () => (text ? openTexts(container, text, signal) : openSource(container, signal)),
    identityNow: async () => asRead(await identify(await openContainer(path), index, signal), text),
  };
}

/** The embedded dataset of texts: nothing of it is on a disk but what is cached. */
export function generatedTextsOrigin(text: TextFormat, size = GENERATED_TEXTS_SIZE): Origin {
  const identity = asRead(generatedTextsIdentity(size), text);
  return {
    identity,
    open: async () => generatedTexts(size, text),
    identityNow: async () => identity,
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
