// manifest.json of a snapshot: what the run was, where it stood, and the parts with their checksums. It is written last
// and atomically, so a snapshot without one was torn and is none. It bears the SHA-256 of itself, by which a run that
// goes on names the snapshot on every node.
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { z } from 'zod';
import { manifestFault } from '../blocks/manifest.js';
import { UserError } from '../errors.js';
import { SERVERS_MAX, SNAPSHOT_MANIFEST_MAX_BYTES, WORKERS_MAX } from '../limits.js';
import { readBytes } from '../safetensors.js';
import type { Store } from './store.js';

export const MANIFEST_FILE = 'manifest.json';
/** Raised when older files can no longer be read. */
const FORMAT = 1;

const count = z.int().min(0);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
/** A file of the folder itself: nobody is led elsewhere. */
const file = z.string().regex(/^[a-z]+-\d+\.safetensors$/);

const schema = z.strictObject({
  format: z.literal(FORMAT),
  /** Version that wrote it. */
  gradloom: z.string(),
  run: z.string(),
  /** Steps that were decided. */
  step: count.min(1),
  /** Pass over the training set that was under way, from 1. */
  epoch: count,
  writtenAt: z.iso.datetime(),
  /** Hexadecimal, of `tensors`. */
  schemaHash: digest,
  tensors: z.array(
    z.strictObject({
      name: z.string(),
      shape: z.array(count),
      kind: z.enum(['trainable', 'state', 'frozen']),
    }),
  ),
  /** What its nodes agreed on, as `describeSpec` has it. */
  spec: z.record(z.string(), z.union([z.string(), z.number()])),
  view: count,
  servers: z.array(z.strictObject({ id: count, address: z.string() })).max(SERVERS_MAX),
  workers: z.array(z.string()).max(WORKERS_MAX),
  /** Owner of each block in canonical order: an index into `servers`. */
  placement: z.array(count),
  parts: z
    .array(
      z.strictObject({
        file,
        bytes: count,
        headerSha256: digest,
        /** Id of the server, or rank of the worker, whose part it is. */
        server: count.optional(),
        worker: count.optional(),
      }),
    )
    .max(SERVERS_MAX + WORKERS_MAX),
});

export type SnapshotManifest = z.infer<typeof schema>;
export const SNAPSHOT_FORMAT = FORMAT;

/** A snapshot that has a manifest which can be trusted. Its parts have not been looked at. */
export interface Snapshot {
  /** Its folder. */
  readonly store: Store;
  readonly manifest: SnapshotManifest;
  /** Hexadecimal, of the manifest. */
  readonly sha256: string;
}

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** Writes the manifest of a snapshot whose parts are there. Throws RunError. */
export async function writeManifest(store: Store, snapshot: SnapshotManifest): Promise<Snapshot> {
  const sha256 = digestOf(JSON.stringify(snapshot));
  await store.write(MANIFEST_FILE, `${JSON.stringify({ sha256, snapshot })}\n`);
  return { store, manifest: snapshot, sha256 };
}

/**
 * Reads a snapshot's manifest and checks it.
 * @returns undefined where there is none: the snapshot was torn, or the folder is another
 * @throws UserError that names the file
 */
export async function readManifest(store: Store): Promise<Snapshot | undefined> {
  const text = await textOf(store);
  if (text === undefined) return undefined;
  let parsed: { sha256?: unknown; snapshot?: unknown };
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch (error) {
    throw untrusted(store, `it is no JSON (${(error as Error).message})`);
  }
  if (typeof parsed?.snapshot !== 'object' || digestOf(JSON.stringify(parsed.snapshot)) !== parsed.sha256)
    throw untrusted(store, 'it is not what was written, its SHA-256 differs');
  const result = schema.safeParse(parsed.snapshot);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw untrusted(store, `${issue.path.join('.') || 'it'}: ${issue.message}`);
  }
  const fault = manifestFault(result.data.tensors);
  if (fault) throw untrusted(store, fault);
  return { store, manifest: result.data, sha256: parsed.sha256 as string };
}

async function textOf(store: Store): Promise<string | undefined> {
  const file = await store.open(MANIFEST_FILE);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    if (size > SNAPSHOT_MANIFEST_MAX_BYTES)
      throw untrusted(store, `expected at most ${SNAPSHOT_MANIFEST_MAX_BYTES} bytes, got ${size}`);
    const bytes = Buffer.alloc(size);
    await readBytes(store.pathOf(MANIFEST_FILE), file, bytes, 0);
    return bytes.toString('utf8');
  } finally {
    await file.close();
  }
}

function untrusted(store: Store, what: string): UserError {
  return new UserError(
    `${store.pathOf(MANIFEST_FILE)} is no manifest of a snapshot that can be trusted: ${what}; resume from another than ${basename(store.path)}`,
  );
}
