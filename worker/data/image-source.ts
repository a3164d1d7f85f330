// Folders or archives of images as a source of records, decoded by sharp (libvips) on libuv's threads.
// Decoding is the expensive part of a cold start: several images are in flight at once, bounded in number and
// bytes, and a chunk is as many images as the container passes one after the other.
import sharp from 'sharp';
import { sentence, UserError } from '../../shared/errors.js';
import {
  CACHE_CHUNK_MAX_BYTES,
  CACHE_CHUNK_RECORDS,
  IMAGE_FILE_MAX_BYTES,
  IMAGES_IN_FLIGHT_MAX,
  IMAGES_IN_FLIGHT_MAX_BYTES,
  RECORD_MAX_BYTES,
} from '../../shared/limits.js';
import type { Container } from './container.js';
import { readImageTree, type TreeImage } from './image-tree.js';
import { recordBytes, type Source, type SourceRecord } from './source.js';

const CHANNELS = 3;

interface Decoded {
  pixels: Buffer;
  width: number;
  height: number;
}

/** Decodes one image to rows of red, green and blue bytes. @throws UserError naming the file */
async function decode(file: string, bytes: Buffer): Promise<Decoded> {
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: Math.floor(RECORD_MAX_BYTES / CHANNELS) })
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== CHANNELS) throw new Error(`it decodes to ${info.channels} channels`);
    return { pixels: data, width: info.width, height: info.height };
  } catch (error) {
    const reason = /pixel limit/i.test(sentence(error))
      ? `it has more than ${Math.floor(RECORD_MAX_BYTES / CHANNELS)} pixels, the most that are accepted`
      : sentence(error).replace(/[.:\s]+$/, '');
    throw new UserError(
      `the image ${file} does not decode (${reason}), expected a whole JPEG or PNG: replace or remove it`,
      { cause: error },
    );
  }
}

/** The first image of a container sets the size that all others must have. */
async function decodeFirst(container: Container, image: TreeImage, signal?: AbortSignal): Promise<Decoded> {
  const pieces = container.read({
    pieceBytes: IMAGE_FILE_MAX_BYTES,
    wanted: (entry) => entry === image.entry,
    signal,
  });
  for await (const { bytes } of pieces) return decode(`${container.location}: ${image.path}`, bytes);
  throw new UserError(`${container.location}: ${image.path} disappeared while it was read: start again`);
}

/** Images that are being decoded: bounded in number and in bytes, the first failure kept for whoever waits. */
class InFlight {
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;
  #failure: { error: unknown } | undefined;

  /** Starts a task once there is room for it. */
  async start(bytes: number, task: () => Promise<void>): Promise<void> {
    while (
      this.#running.size >= IMAGES_IN_FLIGHT_MAX ||
      (this.#running.size > 0 && this.#bytes + bytes > IMAGES_IN_FLIGHT_MAX_BYTES)
    ) {
      await Promise.race(this.#running);
    }
    this.#check();
    this.#bytes += bytes;
    const running = task()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#bytes -= bytes;
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async finish(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  /** Waits until nothing runs any more, whatever became of it. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** @throws UserError for a tree that is not as expected, or a first image that does not decode */
export async function openImages(container: Container, signal?: AbortSignal): Promise<Source> {
  // Each image is decoded once, several at a time: no cache, and one thread an image.
  sharp.cache(false);
  sharp.concurrency(1);
  const tree = readImageTree(container.location, await container.entries(signal));
  const first = tree.images[0];
  const { width, height } = await decodeFirst(container, first, signal);
  const format = { shape: [height, width, CHANNELS], dtype: 'uint8' as const };
  const chunkRecords = Math.max(
    1,
    Math.min(CACHE_CHUNK_RECORDS, Math.floor(CACHE_CHUNK_MAX_BYTES / recordBytes(format))),
  );
  const positionOf = new Map(tree.images.map((image, position) => [image.entry, position]));
  const sizeOfChunk = (chunk: number) => Math.min(chunkRecords, tree.images.length - chunk * chunkRecords);

  const toRecord = async (image: TreeImage, bytes: Buffer): Promise<SourceRecord> => {
    const decoded = await decode(`${container.location}: ${image.path}`, bytes);
    if (decoded.width !== width || decoded.height !== height) {
      throw new UserError(
        `${container.location}: the image ${image.path} is ${decoded.width} × ${decoded.height} pixels, expected ${width} × ${height} as ${first.path}: bring all images to one size`,
      );
    }
    return { index: image.index, label: image.label, features: decoded.pixels };
  };

  return {
    name: 'images',
    classes: tree.classes,
    format,
    splits: tree.splits,
    chunks: Math.ceil(tree.images.length / chunkRecords),
    async produce(wanted, deliver, produceSignal) {
      const inFlight = new InFlight();
      const decided = { chunk: -1, wanted: false };
      const open = new Map<number, SourceRecord[]>();
      const pieces = container.read({
        pieceBytes: IMAGE_FILE_MAX_BYTES,
        signal: produceSignal,
        wanted: (entry) => {
          const position = positionOf.get(entry);
          if (position === undefined) return false;
          const chunk = Math.floor(position / chunkRecords);
          if (chunk !== decided.chunk) Object.assign(decided, { chunk, wanted: wanted(chunk) });
          return decided.wanted;
        },
      });
      try {
        for await (const { entry, bytes } of pieces) {
          const position = positionOf.get(entry) as number;
          const chunk = Math.floor(position / chunkRecords);
          const records = open.get(chunk) ?? [];
          open.set(chunk, records);
          await inFlight.start(bytes.length, async () => {
            records.push(await toRecord(tree.images[position], bytes));
            if (records.length < sizeOfChunk(chunk)) return;
            open.delete(chunk);
            await deliver(chunk, records);
          });
        }
        await inFlight.finish();
      } finally {
        await inFlight.settle();
      }
    },
  };
}
