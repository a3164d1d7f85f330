// The version of this package, from the one place where it is kept.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

let found: string | undefined;

/** The `version` of our package.json, the nearest one above this file. */
export function version(): string {
  found ??= read(dirname(fileURLToPath(import.meta.url)));
  return found;
}

function read(folder: string): string {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
  } catch (error) {
    const above = dirname(folder);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === folder) throw error;
    return read(above);
  }
}
