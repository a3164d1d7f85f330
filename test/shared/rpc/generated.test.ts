// The generated types are those of the proto files as they stand: generated again into a folder of the test's own,
// by the very command of `npm run generate`, and compared.
import { execFileSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { temporaryFolder } from '../../helpers/folder.js';

const CHECKED_IN = 'shared/rpc/generated';

async function files(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      paths
        .sort()
        .map(async (path) => [path.slice(folder.length + 1), await readFile(path, 'utf8')] as const),
    ),
  );
}

test('the generated types are current', async (t) => {
  const folder = await temporaryFolder(t);
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as {
    scripts: { generate: string };
  };
  const [command, ...flags] = scripts.generate
    .split(' ')
    .map((part) => (part === CHECKED_IN ? folder : part));
  t.true(flags.includes(folder), `the script "generate" writes to ${CHECKED_IN}`);
  execFileSync(join('node_modules', '.bin', command), flags, { stdio: 'ignore' });
  const [made, kept] = await Promise.all([files(folder), files(CHECKED_IN)]);
  const differing = [...new Set([...made.keys(), ...kept.keys()])].filter(
    (path) => made.get(path) !== kept.get(path),
  );
  t.deepEqual(differing, [], 'run "npm run generate"');
});
