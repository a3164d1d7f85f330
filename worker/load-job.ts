// Finds the job of a name or a file, and refuses what is none with what it should have.
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sentence, UserError } from '../shared/errors.js';
import { TEXT_LENGTH_MAX, TEXT_ROWS_MAX } from '../shared/limits.js';
import { OPTIMIZERS } from '../shared/optimizer/spec.js';
import type { TextFormat } from './data/text-features.js';
import type { Job } from './job.js';

const BUILT_IN: Record<string, () => Promise<{ default: Job }>> = {
  cifar10: () => import('./jobs/cifar10.js'),
  text: () => import('./jobs/text.js'),
};

const within = (value: unknown, min: number, max: number) =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max;

function textFault({ length, rows, pairs }: Partial<TextFormat>): string | undefined {
  if (!within(length, 1, TEXT_LENGTH_MAX)) return `text.length, a whole number from 1 to ${TEXT_LENGTH_MAX}`;
  if (!within(rows, 2, TEXT_ROWS_MAX)) return `text.rows, a whole number from 2 to ${TEXT_ROWS_MAX}`;
  return typeof pairs === 'boolean' ? undefined : 'text.pairs, true or false';
}

function fault(job: Partial<Job> | undefined): string | undefined {
  if (!job || typeof job !== 'object') return 'a default export that is a job';
  if (typeof job.name !== 'string' || job.name === '') return 'a name';
  if (!Number.isInteger(job.epochs) || (job.epochs as number) < 1)
    return 'epochs, a whole number of 1 or more';
  if (!OPTIMIZERS.some((kind) => kind === job.optimizer?.kind))
    return `optimizer.kind, one of ${OPTIMIZERS.join(', ')}`;
  if (job.optimizer?.groups !== undefined && !Array.isArray(job.optimizer.groups))
    return 'optimizer.groups, a list of {match, …}';
  if (!((job.optimizer?.learningRate ?? 0) > 0)) return 'optimizer.learningRate, a number above 0';
  if (job.text !== undefined && textFault(job.text)) return textFault(job.text);
  if (typeof job.loss !== 'string' && typeof job.loss !== 'function')
    return 'loss, a name or a function of labels and predictions';
  if (typeof job.model !== 'function') return 'model, a function that returns a LayersModel';
  return undefined;
}

/**
 * A built-in job by name, or the default export of a module (.js, .mjs).
 * Throws UserError where there is none, or where it is not a job.
 */
export async function loadJob(nameOrFile: string): Promise<Job> {
  const builtIn = Object.hasOwn(BUILT_IN, nameOrFile) ? BUILT_IN[nameOrFile] : undefined;
  if (builtIn) return (await builtIn()).default;
  const file = resolve(nameOrFile);
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error || !found.isFile())
    throw new UserError(
      `--job: expected one of ${Object.keys(BUILT_IN).join(', ')}, or the file of a module, got "${nameOrFile}"; there is no such file`,
    );
  let module: { default?: Job };
  try {
    module = (await import(pathToFileURL(file).href)) as { default?: Job };
  } catch (error) {
    throw new UserError(`--job: ${nameOrFile} cannot be loaded: ${sentence(error)}`);
  }
  const missing = fault(module.default);
  if (missing)
    throw new UserError(`--job: ${nameOrFile} should have ${missing}; see "Your own job" in the README`);
  return module.default as Job;
}
