// Finding a dataset in the cache of a host by its fingerprint, making a place for a new one, and letting go of
// old ones. All of it happens under the host's lock: nobody opens what another process is just removing.
import { readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { RootDatabase } from 'lmdb';
import { UserError } from '../../../shared/errors.js';
import type { SourceDescription } from '../source.js';
import { asWriteFailure, damageOf, makeFolder, openEnvironment } from './environment.js';
import type { HostIndex } from './host-index.js';
import { RecordStore, STORE_FORMAT, type StoreMeta, storedBytes, TABLES } from './record-store.js';

const DATA_FILE = 'data.mdb';
const GiB = 2 ** 30;

export interface CacheOptions {
  /** Disk that all datasets may take together. */
  maxBytes: number;
  /** Told what was repaired or removed, in one sentence. */
  onNotice: (sentence: string) => void;
}

const folderOf = (index: HostIndex, name: string): string => join(index.cacheDir, 'datasets', name);

/** Whether an environment holds something that is not ours. */
function isForeign(root: RootDatabase, fingerprint: string): boolean {
  const tables = [...root.getKeys({ limit: TABLES.length + 1 })];
  if (tables.length === 0) return false;
  if (tables.some((name) => !TABLES.includes(String(name)))) return true;
  const state = root.openDB({ name: 'state', encoding: 'json' });
  const meta: StoreMeta | undefined = state.get('meta');
  // Ours without its meta: the process that made it was killed before the first commit.
  if (meta === undefined) return false;
  return meta.layout !== STORE_FORMAT || meta.fingerprint !== fingerprint;
}

function hasMeta(root: RootDatabase): boolean {
  if ([...root.getKeys({ limit: 1 })].length === 0) return false;
  return root.openDB({ name: 'state', encoding: 'json' }).get('meta') !== undefined;
}

/** Opens the dataset's environment if there is a usable one; must run under the host's lock. */
function openExisting(
  index: HostIndex,
  fingerprint: string,
  { onNotice }: CacheOptions,
): RootDatabase | undefined {
  const folder = folderOf(index, fingerprint);
  const found = statSync(join(folder, DATA_FILE), { throwIfNoEntry: false });
  if (!found) return undefined;
  const damage = damageOf(folder);
  if (damage) {
    onNotice(`the cached dataset in ${folder} was damaged (${damage}): it is removed and made again`);
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
  const root = openEnvironment(folder);
  if (isForeign(root, fingerprint)) {
    void root.close();
    throw new UserError(
      `${folder} holds a database that gradloom did not write, expected one of its own: move it away or delete that folder, or choose another cache directory`,
    );
  }
  const now = new Date();
  utimesSync(folder, now, now);
  return root;
}

/** The dataset of a fingerprint if the cache has it, complete or in the making. */
export function findDataset(
  index: HostIndex,
  fingerprint: string,
  options: CacheOptions,
): RecordStore | undefined {
  return index.exclusive(() => {
    const root = openExisting(index, fingerprint, options);
    if (!root) return undefined;
    if (hasMeta(root)) return new RecordStore(root, folderOf(index, fingerprint), index.me);
    void root.close();
    return undefined;
  });
}

interface Occupant {
  name: string;
  bytes: number;
  usedAtMs: number;
}

function occupants(index: HostIndex): Occupant[] {
  const parent = join(index.cacheDir, 'datasets');
  makeFolder(parent);
  return readdirSync(parent).map((name) => {
    const folder = join(parent, name);
    const data = statSync(join(folder, DATA_FILE), { throwIfNoEntry: false });
    return { name, bytes: (data?.blocks ?? 0) * 512, usedAtMs: statSync(folder).mtimeMs };
  });
}

/** Removes the least recently used datasets until the new one fits. Who has one of them open keeps its pages. */
function makeRoom(index: HostIndex, fingerprint: string, needed: number, options: CacheOptions): void {
  const gib = (bytes: number) => `${(bytes / GiB).toFixed(2)} GiB`;
  if (needed > options.maxBytes) {
    throw new UserError(
      `the dataset takes ${gib(needed)} of cache, at most ${gib(options.maxBytes)} are allowed: use fewer or smaller records`,
    );
  }
  const others = occupants(index).filter(({ name }) => name !== fingerprint);
  let total = others.reduce((sum, { bytes }) => sum + bytes, needed);
  for (const old of others.sort((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (total <= options.maxBytes) return;
    const folder = folderOf(index, old.name);
    rmSync(folder, { recursive: true, force: true });
    total -= old.bytes;
    const used = new Date(old.usedAtMs).toISOString();
    options.onNotice(
      `removed the cached dataset in ${folder} (${gib(old.bytes)}, last used ${used}) to make room`,
    );
  }
}

/** The dataset of a fingerprint, made when it isn't there yet: by this process or, meanwhile, by another one. */
export function makeDataset(
  index: HostIndex,
  fingerprint: string,
  description: SourceDescription,
  options: CacheOptions,
): RecordStore {
  const { name, classes, format, splits, chunks } = description;
  const meta = { layout: STORE_FORMAT, fingerprint, name, classes, format, splits, chunks } as const;
  const folder = folderOf(index, fingerprint);
  return index.exclusive(() => {
    try {
      const existing = openExisting(index, fingerprint, options);
      if (existing) return new RecordStore(existing, folder, index.me, meta);
      const needed = storedBytes(description);
      makeRoom(index, fingerprint, needed, options);
      return new RecordStore(openEnvironment(folder, needed), folder, index.me, meta);
    } catch (error) {
      throw asWriteFailure(folder, error);
    }
  });
}

/** Removes a dataset that turned out to be wrong. */
export function dropDataset(index: HostIndex, fingerprint: string): void {
  index.exclusive(() => rmSync(folderOf(index, fingerprint), { recursive: true, force: true }));
}
