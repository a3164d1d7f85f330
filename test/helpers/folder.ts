// A folder of a test's own, gone when the test has ended.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** Makes an empty folder that is removed after the test, however it ends. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gradloom-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
