// Whether a run can go on from a snapshot: the model, the data and what the state depends on must be the same. The
// number of servers and of workers, the epochs and the optimizer's numbers may be others.
import { manifestDifference } from '../blocks/manifest.js';
import { UserError } from '../errors.js';
import { describeSpec } from '../run/difference.js';
import type { RunSpec } from '../run/spec.js';
import type { Snapshot } from './manifest.js';

/** What is compared: the rest may change from one part of a run to the next. */
const BINDING = [
  'job',
  'optimizer',
  'consistency',
  'codec',
  'top-k percentage',
  'top-k warm-up steps',
  'rounding',
  'batch',
  'steps per epoch',
  'seed',
  'data fingerprint',
];

/** Throws UserError with the first difference that a run cannot go on with. */
export function checkFits({ store: { path }, manifest }: Snapshot, spec: RunSpec): void {
  const { step } = manifest;
  const model = manifestDifference(manifest.tensors, spec.tensors);
  if (model)
    throw new UserError(`--resume: the model differs from that of ${path}: ${model}; give the same --job`);
  const now = describeSpec(spec);
  for (const key of BINDING)
    if (manifest.spec[key] !== now[key])
      throw new UserError(
        `--resume: the ${key} of ${path} is ${manifest.spec[key] ?? 'none'}, got ${now[key] ?? 'none'}; give the options that the run had`,
      );
  if (spec.epochs > 0 && step >= spec.epochs * spec.stepsPerEpoch)
    throw new UserError(
      `--resume: ${path} has done ${step} steps, which are all of ${spec.epochs} epochs; give more --epochs to go on`,
    );
}
