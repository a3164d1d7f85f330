// The examples of the README, run word for word against a real server.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { execaNode } from 'execa';
import { startTestServer, until } from '../helpers/server.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The code block that follows `<!-- runnable: NAME -->`. */
async function example(name: string): Promise<string> {
  const readme = await readFile(`${root}README.md`, 'utf8');
  const found = new RegExp(`<!-- runnable: ${name} -->\n\`\`\`js\n([\\s\\S]*?)\`\`\``).exec(readme);
  if (!found) throw new Error(`the README has no example '${name}'`);
  return found[1];
}

for (const { name, prints } of [
  { name: 'sdk', prints: /y = 3\.00 x \+ -1\.00/ },
  { name: 'fit', prints: /loss 0\.\d\d at first, 0\.0\d at last/ },
  { name: 'rows', prints: /loss 0\.\d\d at first, 0\.0\d at last/ },
]) {
  test(`the README's example '${name}' runs and prints what it says`, async (t) => {
    const server = await startTestServer(t);
    // Inside the package, so that 'gradloom' is found by its name.
    const folder = `${root}dist/readme`;
    await mkdir(folder, { recursive: true });
    const file = `${folder}/${name}-${process.pid}.mjs`;
    await writeFile(file, await example(name));
    t.teardown(() => rm(file));
    const { stdout } = await execaNode(file, [server.address]);
    t.regex(stdout, prints);
    await until(() => server.runs.size === 0);
  });
}
