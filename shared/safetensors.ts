// Tensors in a file that every machine-learning library reads: https://huggingface.co/docs/safetensors.
// 8 bytes little-endian header length · JSON header, padded with spaces to 8 bytes · data, without gaps.
// Files from others are checked as strictly as the reference implementation does it, and refused with a sentence.
import { open } from 'node:fs/promises';
import { unreadable, writeFileAtomic } from './atomic-file.js';
import { UserError } from './errors.js';
import { SAFETENSORS_HEADER_MAX_BYTES, TENSORS_MAX } from './limits.js';

/** Bytes of one element, by the format's names of types. */
export const DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof DTYPE_BYTES;

export interface StoredTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Its elements, little-endian, in row-major order. */
  readonly data: ArrayBufferView;
}

export interface NamedTensor extends StoredTensor {
  readonly name: string;
}

export interface TensorFile {
  /** In the order in which their data lie. */
  readonly tensors: Map<string, StoredTensor & { readonly data: Uint8Array }>;
  readonly metadata: Record<string, string>;
}

/** What is read from: a FileHandle, or what does as much for a file that lies elsewhere. */
export interface OpenFile {
  stat(): Promise<{ size: number }>;
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  close(): Promise<void>;
}

interface Entry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const METADATA = '__metadata__';

/**
 * Writes tensors atomically, in the order in which they come.
 * @param metadata strings for whoever reads the file, e.g. the run's id
 * @returns the size of the file in bytes
 * @throws RunError where the disk does not take it; Error where a tensor's data does not fit its shape
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<number> {
  for (const { name, dtype, shape, data } of tensors) {
    const bytes = bytesOf(dtype, shape);
    if (bytes !== data.byteLength) {
      throw new Error(
        `tensor ${name} of shape [${shape}] and type ${dtype} has ${data.byteLength} bytes, not ${bytes}`,
      );
    }
  }
  const header = safetensorsHeader(tensors, metadata);
  return writeFileAtomic(path, [header, ...tensors.map(({ data }) => data)]);
}

/**
 * What stands before the data of tensors that lie one behind the other.
 * @param bytesMin it is made so long, where it is shorter
 * @throws Error where two tensors have one name
 */
export function safetensorsHeader(
  tensors: readonly Pick<NamedTensor, 'name' | 'dtype' | 'shape'>[],
  metadata: Readonly<Record<string, string>>,
  bytesMin = 0,
): Buffer {
  const parts = [`${JSON.stringify(METADATA)}:${JSON.stringify(metadata)}`];
  const names = new Set([METADATA]);
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name)) throw new Error(`the tensor name ${JSON.stringify(name)} is taken`);
    names.add(name);
    const bytes = bytesOf(dtype, shape);
    parts.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [end, end + bytes] })}`,
    );
    end += bytes;
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  const header = Buffer.alloc(Math.max(bytesMin, 8 + Math.ceil(json.length / 8) * 8), ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.set(json, 8);
  return header;
}

/**
 * Reads what a file begins with, and checks it against the file's size.
 * @param tensorsMax most tensors that it may have
 * @returns the tensors' places, in bytes from the start of the file, in the order of their data
 * @throws UserError that names the file and says what is wrong with it
 */
export async function readHeader(path: string, handle: OpenFile, tensorsMax = TENSORS_MAX) {
  return explained(path, async () => {
    const { size } = await handle.stat();
    const prefix = Buffer.alloc(8);
    await readInto(handle, prefix, 0);
    const dataStart = 8 + checkHeaderLength(prefix, size);
    const header = Buffer.alloc(dataStart);
    await readInto(handle, header, 0);
    const { entries, metadata } = parseHeader(header.subarray(8), size - dataStart, tensorsMax);
    return {
      header,
      entries: entries.map((entry) => ({
        ...entry,
        begin: dataStart + entry.begin,
        end: dataStart + entry.end,
      })),
      metadata,
    };
  });
}

/** Reads bytes of an open file. Throws UserError that names it where it ends before. */
export function readBytes(path: string, handle: OpenFile, target: Uint8Array, position: number) {
  return explained(path, () => readInto(handle, target, position));
}

/**
 * Reads a file and checks all of it: every byte of data belongs to exactly one tensor, and sizes fit shapes.
 * @returns tensors whose data are views of one buffer; those of 4-byte types are aligned if all are
 * @throws UserError that names the file and says what is wrong with it
 */
export async function readSafetensors(path: string): Promise<TensorFile> {
  return explained(path, async () => {
    await using handle = await open(path, 'r');
    const { header, entries, metadata } = await readHeader(path, handle);
    const { size } = await handle.stat();
    const data = new Uint8Array(size - header.length);
    await readInto(handle, data, header.length);
    const tensors: TensorFile['tensors'] = new Map();
    for (const { name, dtype, shape, begin, end } of entries) {
      tensors.set(name, { dtype, shape, data: data.subarray(begin - header.length, end - header.length) });
    }
    return { tensors, metadata };
  });
}

/** Does what reads a file; what is wrong with that is told with its name. */
async function explained<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Flaw) {
      throw new UserError(
        `${path} is no safetensors file that can be trusted: ${error.message}; write it anew`,
      );
    }
    throw unreadable(path, error);
  }
}

/** Bytes that a tensor takes; throws where the product is beyond what a number holds exactly. */
function bytesOf(dtype: Dtype, shape: readonly number[]): number {
  let bytes: number = DTYPE_BYTES[dtype];
  for (const length of shape) bytes *= length;
  if (!Number.isSafeInteger(bytes)) throw new Flaw(`the shape [${shape}] is beyond all memory`);
  return bytes;
}

/** What is wrong with a file, as a clause. */
class Flaw extends Error {}

async function readInto(handle: OpenFile, target: Uint8Array, position: number): Promise<void> {
  const most = 64 * 1024 * 1024;
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(
      target,
      done,
      Math.min(most, target.length - done),
      position + done,
    );
    if (bytesRead === 0) throw new Flaw(`it ends after ${position + done} bytes`);
    done += bytesRead;
  }
}

function checkHeaderLength(prefix: Buffer, fileBytes: number): number {
  const length = prefix.readBigUInt64LE();
  if (length > BigInt(SAFETENSORS_HEADER_MAX_BYTES)) {
    throw new Flaw(`its header claims ${length} bytes, at most ${SAFETENSORS_HEADER_MAX_BYTES} are expected`);
  }
  if (8 + Number(length) > fileBytes) {
    throw new Flaw(`its header claims ${length} bytes, but the file has only ${fileBytes}`);
  }
  return Number(length);
}

function parseHeader(
  json: Buffer,
  dataBytes: number,
  tensorsMax: number,
): { entries: Entry[]; metadata: Record<string, string> } {
  if (json[0] !== 0x7b) throw new Flaw('its header does not begin with "{"');
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch (error) {
    throw new Flaw(`its header is not JSON in UTF-8 (${(error as Error).message})`);
  }
  const fields = Object.entries(header as object);
  if (fields.length > tensorsMax + 1) throw new Flaw(`it has more than ${tensorsMax} tensors`);
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of fields) {
    if (name === METADATA) metadata = checkMetadata(value);
    else entries.push(checkEntry(name, value));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) {
      const flaw = entry.begin < end ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw new Flaw(`${show(entry.name)} ${flaw}: it begins at byte ${entry.begin}, expected ${end}`);
    }
    end = entry.end;
  }
  if (end !== dataBytes) throw new Flaw(`its tensors take ${end} bytes of data, but ${dataBytes} are there`);
  return { entries, metadata };
}

function checkMetadata(value: unknown): Record<string, string> {
  if (!isObject(value)) throw new Flaw(`${METADATA} must be an object of strings, got ${show(value)}`);
  const wrong = Object.entries(value).find(([, text]) => typeof text !== 'string');
  if (wrong)
    throw new Flaw(`${METADATA} must hold strings only, got ${show(wrong[1])} for ${show(wrong[0])}`);
  return value as Record<string, string>;
}

function checkEntry(name: string, value: unknown): Entry {
  if (!isObject(value)) throw new Flaw(`${show(name)} must be an object, got ${show(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw new Flaw(
      `${show(name)} has the type ${show(dtype)}, expected one of ${Object.keys(DTYPE_BYTES).join(', ')}`,
    );
  }
  if (!isCounts(shape))
    throw new Flaw(`${show(name)} has the shape ${show(shape)}, expected whole numbers from 0`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw new Flaw(`${show(name)} has the data_offsets ${show(offsets)}, expected [begin, end]`);
  }
  const [begin, end] = offsets;
  const bytes = bytesOf(dtype as Dtype, shape);
  if (end - begin !== bytes) {
    throw new Flaw(
      `${show(name)} has ${end - begin} bytes, but its shape [${shape}] of ${dtype} takes ${bytes}`,
    );
  }
  return { name, dtype: dtype as Dtype, shape, begin, end };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
