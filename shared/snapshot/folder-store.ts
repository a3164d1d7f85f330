// Snapshots on a disk. A file is written under its own name with its head last, flushed, and its name with it; the
// manifest, which makes a snapshot whole, is renamed into its store.
import { access, constants, type FileHandle, mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, reason, syncFolder, writeFileAtomic } from '../atomic-file.js';
import { RunError, UserError } from '../errors.js';
import { SNAPSHOT_FOLDERS_MAX } from '../limits.js';
import { makeNewFolder } from '../new-folder.js';
import type { OpenFile } from '../safetensors.js';
import { readFailure, writeFailure } from './failures.js';
import type { NewFile, Store } from './store.js';

/** What the system says where there is nothing of that name. */
const MISSING = ['ENOENT', 'ENOTDIR'];

export class FolderStore implements Store {
  /** @param path absolute */
  constructor(readonly path: string) {}

  folder(name: string): FolderStore {
    return new FolderStore(join(this.path, name));
  }

  pathOf(file: string): string {
    return join(this.path, file);
  }

  async check(): Promise<void> {
    try {
      await mkdir(this.path, { recursive: true });
      await access(this.path, constants.W_OK | constants.X_OK);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      const why = error.code === 'EEXIST' ? 'it is a file' : reason(error);
      throw new UserError(
        `--snapshots: cannot write snapshots into ${this.path}: ${why}; give a folder that can be written`,
      );
    }
  }

  async newFolder(run: string, startedAt: Date): Promise<string> {
    const name = await writing(this.path, () => makeNewFolder(this.path, run, startedAt));
    if (name === undefined)
      throw new RunError(
        `Cannot write ${this.path}: too many folders of this name are in it; give another with --snapshots`,
      );
    return name;
  }

  folders(): Promise<string[] | undefined> {
    return reading(this.path, async () => {
      // Of a file it would not be true that nothing is there.
      if ((await stat(this.path)).isFile())
        throw new UserError(`Cannot read ${this.path}: it is a file; give a folder`);
      const entries = await readdir(this.path, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
        .slice(0, SNAPSHOT_FOLDERS_MAX)
        .map(({ name }) => name);
    });
  }

  bytesOf(file: string): Promise<number | undefined> {
    return reading(this.pathOf(file), async (path) => (await stat(path)).size);
  }

  open(file: string): Promise<OpenFile | undefined> {
    return reading(this.pathOf(file), (path) => open(path, 'r'));
  }

  create(file: string, headBytes: number): Promise<NewFile> {
    return writing(this.pathOf(file), async (path) => {
      await mkdir(this.path, { recursive: true });
      return new FileOnDisk(path, await open(path, 'wx'), headBytes);
    });
  }

  async write(file: string, text: string): Promise<void> {
    await writeFileAtomic(this.pathOf(file), [text]);
  }

  remove(first: string): Promise<void> {
    return writing(this.path, async () => {
      await rm(this.pathOf(first), { force: true });
      await rm(this.path, { recursive: true, force: true });
    });
  }
}

class FileOnDisk implements NewFile {
  #position: number;

  constructor(
    readonly path: string,
    readonly handle: FileHandle,
    headBytes: number,
  ) {
    this.#position = headBytes;
  }

  async append(data: Uint8Array): Promise<void> {
    await this.#write(data, this.#position);
    this.#position += data.byteLength;
  }

  async finish(head: Uint8Array): Promise<void> {
    await this.#write(head, 0);
    await writing(this.path, async () => {
      await this.handle.sync();
      await this.handle.close();
      await syncFolder(dirname(this.path));
    });
  }

  /** Its folder goes with it where nothing else is in it. */
  async abandon(): Promise<void> {
    // A full disk may fail the close as well; the file goes all the same.
    await this.handle.close().catch(() => undefined);
    await writing(this.path, async () => {
      await rm(this.path, { force: true });
      await rmdir(dirname(this.path)).catch((error: NodeJS.ErrnoException) => {
        if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code ?? '')) throw error;
      });
    });
  }

  #write(data: Uint8Array, position: number): Promise<void> {
    return writing(this.path, async () => {
      for (let done = 0; done < data.byteLength; )
        done += (await this.handle.write(data, done, data.byteLength - done, position + done)).bytesWritten;
    });
  }
}

/** What comes of reading; undefined where there is nothing of that name. */
async function reading<T>(path: string, read: (path: string) => Promise<T>): Promise<T | undefined> {
  try {
    return await read(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (MISSING.includes(error.code ?? '')) return undefined;
    throw readFailure(path, reason(error), error);
  }
}

async function writing<T>(path: string, write: (path: string) => Promise<T>): Promise<T> {
  try {
    return await write(path);
  } catch (error) {
    throw isSystemError(error) ? writeFailure(path, reason(error), error) : error;
  }
}
