// The --config file: one JSON object whose keys are the flags without their dashes.
// It is checked as a stranger's: bounded in size, an object, no key that the command does not know.
import { open } from 'node:fs/promises';
import { UserError } from '../errors.js';
import { CONFIG_FILE_MAX_BYTES } from '../limits.js';
import { findJsonError } from './json-error.js';
import { show } from './option.js';
import { suggest } from './suggest.js';

/**
 * Reads a config file.
 * @param flags the keys that the command knows
 * @param command what the command is called in messages
 * @throws UserError that names the file
 */
export async function readConfigFile(
  file: string,
  flags: readonly string[],
  command: string,
): Promise<Map<string, unknown>> {
  const text = await readBounded(file);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    const found = findJsonError(text);
    const where = found ? `:${found.line}:${found.column}: expected ${found.expected}` : ': it is no JSON';
    throw new UserError(`The config file is not valid JSON: ${file}${where}; mend it there`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new UserError(
      `The config file ${file} must hold one JSON object, like {"epochs": 5}, got ${show(parsed)}`,
    );
  }
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(parsed)) {
    if (!flags.includes(key)) {
      const close = suggest(key, flags);
      throw new UserError(
        `Unknown key ${show(key)} in ${file}: ${close ? `did you mean "${close}"?` : `${command} has no such option`}; ` +
          `keys are the options of "${command} --help" without their dashes`,
      );
    }
    values.set(key, value);
  }
  return values;
}

async function readBounded(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const { size } = await handle.stat();
    if (size > CONFIG_FILE_MAX_BYTES) {
      throw new UserError(
        `The config file ${file} has ${size} bytes, expected at most ${CONFIG_FILE_MAX_BYTES}; is it the right file?`,
      );
    }
    const text = await handle.readFile('utf8');
    return text.replace(/^\uFEFF/, '');
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' ? 'it does not exist' : code === 'EISDIR' ? 'it is a folder' : `${code ?? error}`;
    throw new UserError(`Cannot read the config file ${file}: ${why}; give a JSON file with --config`);
  }
}
