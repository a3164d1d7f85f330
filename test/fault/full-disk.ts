// A disk that is full as good as at once: a file system in memory of a size that no snapshot fits into (Linux, root).
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/** Two pages. */
const SIZE_BYTES = 2 ** 13;

export interface TinyDisk {
  /** Why there is none. */
  failure?: string;
  unmount(): void;
}

/** Mounts it at a folder, which is made. */
export function mountTiny(folder: string): TinyDisk {
  mkdirSync(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'tmpfs', folder]);
  if (mounted.status !== 0) {
    const why = mounted.error?.message ?? String(mounted.stderr).trim();
    return {
      failure: `a small disk cannot be mounted here (${why || `status ${mounted.status}`}); it takes Linux and root`,
      unmount: () => undefined,
    };
  }
  return {
    unmount() {
      spawnSync('umount', [folder]);
    },
  };
}
