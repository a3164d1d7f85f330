// What the options of a worker that connects say of the run: checked, with defaults, as the others must agree to.
import { elementsOf, manifestFault, type TensorSpec } from '../blocks/manifest.js';
import { codecFault } from '../codec/allowed-pairs.js';
import { codecOptionsFault, codecOptionsOfRun } from '../codec/codec-options.js';
import { codecNames } from '../codec/registry.js';
import { UserError } from '../errors.js';
import { freezeGroups, groupsFault } from '../optimizer/groups.js';
import { type OptimizerSpec, optimizerFault, optimizerSpec } from '../optimizer/spec.js';
import { consistencyFault, gradientLimitFault, normsFault } from '../run/faults.js';
import type { RunSpec } from '../run/spec.js';
import { compileTables } from './sdk-tables.js';
import type { ConnectOptions } from './sdk-types.js';

/** Throws UserError for options that cannot be. */
export function compileSpec(options: ConnectOptions, given: NonNullable<ConnectOptions['tensors']>): RunSpec {
  const tensors = given.map(({ name, shape }): TensorSpec => ({ name, shape, kind: 'trainable' }));
  const fault = manifestFault(tensors);
  if (fault) throw new UserError(`tensors: ${fault}`);
  for (const { name, shape, values } of given)
    if (!(values instanceof Float32Array) || values.length !== elementsOf(shape))
      throw new UserError(
        `tensors: expected a Float32Array of ${elementsOf(shape)} values for '${name}' of shape [${shape}], got ${values?.length ?? typeof values}`,
      );
  const codec = options.codec ?? 'fp16';
  if (!codecNames.includes(codec))
    throw new UserError(`codec: expected one of ${codecNames.join(', ')}, got "${codec}"`);
  const ofCodec = codecOptionsFault(codec, options);
  if (ofCodec) throw new UserError(ofCodec);
  const consistency = options.consistency ?? 'bsp';
  const bound = consistencyFault(consistency, options.staleness);
  if (bound) throw new UserError(bound);
  const workers = options.workers ?? 1;
  if (!Number.isInteger(workers) || workers < 1)
    throw new UserError(`workers: expected a whole number of 1 or more, got ${workers}`);
  const { seed = 0 } = options;
  if (!Number.isSafeInteger(seed)) throw new UserError(`seed: expected a whole number, got ${seed}`);
  const tables = compileTables(options.tables ?? [], { consistency, codec });
  const optimizer = compileOptimizer(options);
  const pair = codecFault(codec, optimizer, consistency);
  if (pair) throw new UserError(`codec: ${pair}`);
  const unfit = normsFault(consistency, optimizer);
  if (unfit) throw new UserError(`optimizer: ${unfit}`);
  const limit = gradientLimitFault(options.gradientLimit);
  if (limit) throw new UserError(`gradientLimit: ${limit}`);
  const agreed = freezeGroups(tensors, optimizer.groups);
  const misfit = groupsFault(optimizer, agreed);
  if (misfit) throw new UserError(`optimizer.groups: ${misfit}`);
  return {
    job: options.job ?? 'sdk',
    tensors: agreed,
    optimizer,
    consistency,
    ...(options.staleness === undefined ? {} : { staleness: options.staleness }),
    codec,
    ...codecOptionsOfRun(codec, options),
    ...(options.gradientLimit === undefined ? {} : { gradientLimit: options.gradientLimit }),
    ...(options.replicas ? { replicas: options.replicas } : {}),
    workers,
    globalBatch: 0,
    epochs: 0,
    stepsPerEpoch: 0,
    seed,
    dataFingerprint: '',
    ...(tables.length > 0 && { tables }),
  };
}

function compileOptimizer({ optimizer = 'adam', learningRate }: ConnectOptions): OptimizerSpec {
  if (typeof optimizer === 'object' && learningRate !== undefined)
    throw new UserError(
      `learningRate: expected none beside an optimizer that has its own of ${optimizer.learningRate}, got ${learningRate}; leave it out`,
    );
  const spec = typeof optimizer === 'object' ? optimizer : optimizerSpec(optimizer, learningRate ?? 0.001);
  const fault = optimizerFault(spec);
  if (fault) throw new UserError(`optimizer: ${fault}`);
  return spec;
}
