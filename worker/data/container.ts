// A tree of files, wherever it lies: in a folder or in a tar archive, compressed or not.
// First on the data path: container → source → fill → cache. Whatever comes from outside is checked and
// bounded here: names, sizes, numbers of entries. Files are handed over in pieces of a size the reader picks,
// so that memory stays bounded whatever the source holds.
import { UserError } from '../../shared/errors.js';
import { SOURCE_ENTRIES_MAX, SOURCE_PATH_CHARACTERS_MAX } from '../../shared/limits.js';

/** A file or folder of a container; `path` is relative, with forward slashes. */
export interface ContainerEntry {
  path: string;
  sizeBytes: number;
  folder: boolean;
  /** Changes when the file does; only where the container is a folder. */
  modified?: string;
}

export interface Piece {
  /** Position of the file in `entries`. */
  entry: number;
  /** Which piece of the file this is; all but the last one have the size that was asked for. */
  piece: number;
  bytes: Buffer;
}

export interface ReadOptions {
  pieceBytes: number;
  wanted: (entry: number, piece: number) => boolean;
  signal?: AbortSignal;
}

export interface Container {
  kind: 'folder' | 'archive';
  /** The path as the user gave it, for messages. */
  location: string;
  /** The real path, for identity. */
  realPath: string;
  /** Everything in it but hidden files, in the order in which `read` passes. */
  entries(signal?: AbortSignal): Promise<ContainerEntry[]>;
  /** One pass over the pieces that are wanted, in order. Ends early when its consumer does. */
  read(options: ReadOptions): AsyncGenerator<Piece, void, undefined>;
}

/** Says in one sentence why a path could not be read. */
export function unreadable(path: string, error: unknown): UserError {
  const code = (error as NodeJS.ErrnoException)?.code;
  const reason =
    code === 'ENOENT'
      ? 'there is no such file or folder: check the path'
      : code === 'EACCES' || code === 'EPERM'
        ? 'this user may not read it: change its permissions'
        : `${(error as Error)?.message ?? error}: check the file`;
  return new UserError(`cannot read ${path}: ${reason}`, { cause: error });
}

/** Whether a path within a source is left aside: hidden files and what file managers leave behind. */
export function isHidden(path: string): boolean {
  return path
    .split('/')
    .some((part) => part.startsWith('.') || part === 'Thumbs.db' || part === 'desktop.ini');
}

/** Checks the path of one entry, as it was found, and gives it back without a leading `./` or trailing slash. */
export function checkedPath(location: string, path: string): string {
  const shown = path.length > 80 ? `${path.slice(0, 80)}…` : path;
  if (path.length > SOURCE_PATH_CHARACTERS_MAX) {
    throw new UserError(
      `${location}: the name ${JSON.stringify(shown)} has ${path.length} characters, at most ${SOURCE_PATH_CHARACTERS_MAX} are accepted: rename it`,
    );
  }
  if (
    path.startsWith('/') ||
    /^[a-z]:[\\/]/i.test(path) ||
    path.split('/').includes('..') ||
    path.includes('\0')
  ) {
    throw new UserError(
      `${location}: the entry ${JSON.stringify(shown)} points outside of the archive, expected a relative path without "..": make the archive anew`,
    );
  }
  return path
    .split('/')
    .filter((part) => part !== '.' && part !== '')
    .join('/');
}

/** Refuses a source with more entries than are kept in memory. */
export function checkEntryCount(location: string, count: number): void {
  if (count <= SOURCE_ENTRIES_MAX) return;
  throw new UserError(
    `${location} has more than ${SOURCE_ENTRIES_MAX} files, the most that one source may have: split it`,
  );
}
