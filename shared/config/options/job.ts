// Options of a job: what is trained, on what data, for how long and with what.
import {
  ACCUMULATE_MAX,
  BATCH_MAX_SAMPLES,
  EPOCHS_MAX,
  EVERY_STEPS_MAX,
  NAME_CHARACTERS_MAX,
} from '../../limits.js';
import { defaulting, oneOf, onOff, optional, path, text, whole } from './kinds.js';

/** In the order in which they are probed where none is named. */
export const BACKENDS = ['cuda', 'webgpu', 'tensorflow', 'wasm', 'cpu'] as const;

export const JOB_OPTIONS = {
  job: defaulting(
    path(
      { flag: 'job', placeholder: 'NAME|FILE', help: 'what to train: a built-in job, or a module' },
      'the name of a job or the file of a module',
      'cifar10',
    ),
    'cifar10',
  ),
  data: optional(
    path(
      { flag: 'data', placeholder: 'PATH', help: 'what the job reads', fallback: 'generated' },
      'a path',
      'data/',
    ),
  ),
  run: optional(
    text(
      {
        flag: 'run',
        placeholder: 'NAME',
        help: 'name of the run, the same for all its workers',
        fallback: 'the job',
      },
      `a name of 1 to ${NAME_CHARACTERS_MAX} characters`,
      NAME_CHARACTERS_MAX,
      'cifar10-a',
    ),
  ),
  epochs: optional(
    whole({ flag: 'epochs', help: 'passes over the training set', fallback: "the job's" }, 1, EPOCHS_MAX, 5),
  ),
  batch: defaulting(
    whole({ flag: 'batch', help: 'samples of one step, over all workers' }, 1, BATCH_MAX_SAMPLES, 64),
    64,
  ),
  accumulate: defaulting(
    whole(
      {
        flag: 'accumulate',
        placeholder: 'K',
        help: "micro-batches in which a worker computes its part of a step's batch, to save memory",
      },
      1,
      ACCUMULATE_MAX,
      4,
    ),
    1,
  ),
  evaluate: onOff({
    flag: 'evaluate',
    help: 'compute no gradients: pull the parameters now and then, and say how good they are on the test set',
  }),
  everySteps: defaulting(
    whole(
      { flag: 'every', help: 'with --evaluate: steps from one evaluation to the next, at least' },
      1,
      EVERY_STEPS_MAX,
      50,
    ),
    100,
  ),
  backend: optional(
    oneOf({ flag: 'backend', help: 'what computes', fallback: 'the first that works' }, BACKENDS, 'wasm'),
  ),
  seed: defaulting(
    whole(
      { flag: 'seed', help: 'of everything random in the run' },
      Number.MIN_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
      7,
    ),
    1,
  ),
  cache: optional(
    path(
      {
        flag: 'cache',
        placeholder: 'DIR',
        help: 'where prepared records are kept',
        fallback: "the system's cache folder",
      },
      'a folder',
      '/var/cache/gradloom',
    ),
  ),
};
