// Makes the randomness inside tf.js keyed. Whatever tf.js draws without a seed of its own (dropout masks, noise,
// initial weights, multinomial) starts from Math.random; within `withKeyedRandom` that is a stream that depends
// on its key alone. The one place in the project that touches a global, and it puts it back.
import { layers } from '@tensorflow/tfjs-layers';
import { keyedRandom } from '../../shared/random.js';

/** Runs a synchronous function with Math.random replaced by the stream of (seed, key). */
export function withKeyedRandom<T>(seed: number, key: readonly (string | number)[], run: () => T): T {
  const original = Math.random;
  const random = keyedRandom(seed, ...key);
  Math.random = random.float;
  try {
    return run();
  } finally {
    Math.random = original;
  }
}

type AddWeight = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Builds a model whose initial weights depend on (seed, position of the weight), however the weights of the
 * other layers are drawn.
 */
export function withKeyedWeights<T>(seed: number, build: () => T): T {
  const prototype = layers.Layer.prototype as unknown as { addWeight: AddWeight };
  const original = prototype.addWeight;
  let position = 0;
  prototype.addWeight = function (...args) {
    return withKeyedRandom(seed, ['weight', position++], () => original.apply(this, args));
  };
  try {
    return withKeyedRandom(seed, ['model'], build);
  } finally {
    prototype.addWeight = original;
  }
}
