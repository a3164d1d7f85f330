// What the bench of the kernels measures: each kernel and its plain twin on the arrays of one block.
import { adamScalars, type Kernels } from '../../shared/kernels/kernels.js';
import * as accumulate from '../../shared/kernels/plain/accumulate.js';
import * as adaptive from '../../shared/kernels/plain/adaptive.js';
import * as convert from '../../shared/kernels/plain/convert.js';
import * as decoupled from '../../shared/kernels/plain/decoupled.js';
import * as optimize from '../../shared/kernels/plain/optimize.js';
import { prepareGradient } from '../../shared/kernels/plain/prepare.js';
import * as reduce from '../../shared/kernels/plain/reduce.js';
import { lossyCases } from './lossy-kernel-cases.js';

/** One block's arrays: addresses, and views of the same memory for the plain twins. */
export interface Block {
  param: number;
  slot1: number;
  slot2: number;
  gradient: number;
  halves: number;
  views: {
    param: Float32Array;
    slot1: Float32Array;
    slot2: Float32Array;
    gradient: Float32Array;
    halves: Uint16Array;
  };
}

export interface Case {
  name: string;
  /** Read and written, of all arrays. */
  bytesPerElement: number;
  wasm(k: Kernels, block: Block, n: number): unknown;
  plain(views: Block['views']): unknown;
  /** The loop one would write without minding the bits: float64 in between, no rounding by hand. */
  loop?(views: Block['views']): unknown;
}

const scalars = { gradientScale: 1 / 64, learningRate: 1e-3, momentum: 0.9, nesterov: false };
const adamOptions = {
  gradientScale: 1 / 64,
  beta1: 0.9,
  beta2: 0.999,
  ...adamScalars(10, { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }),
};

// A scale of one: the pass works in place, again and again on the same gradient.
const prepareOptions = { gradientScale: 1, clipValue: 1, l1: 1e-8, l2: 1e-8 };
const rmspropOptions = { ...scalars, decay: 0.9, momentum: 0, epsilon: 1e-7 };
const lionOptions = { ...scalars, beta1: 0.9, beta2: 0.99, decayRate: 1e-5 };

export const cases: Case[] = [
  {
    name: 'packF16',
    bytesPerElement: 6,
    wasm: (k, b, n) => k.packF16(b.gradient, n, 256, b.halves),
    plain: (v) => convert.packF16(v.gradient, 256, v.halves),
  },
  {
    name: 'unpackF16',
    bytesPerElement: 6,
    wasm: (k, b, n) => k.unpackF16(b.halves, n, 1 / 256, b.gradient),
    plain: (v) => convert.unpackF16(v.halves, 1 / 256, v.gradient),
  },
  {
    name: 'addF16',
    bytesPerElement: 10,
    wasm: (k, b, n) => k.addF16(b.halves, n, 2 ** -20, b.gradient),
    plain: (v) => accumulate.addF16(v.halves, 2 ** -20, v.gradient),
  },
  {
    name: 'packBf16',
    bytesPerElement: 6,
    wasm: (k, b, n) => k.packBf16(b.gradient, n, b.halves),
    plain: (v) => convert.packBf16(v.gradient, v.halves),
  },
  {
    name: 'unpackBf16',
    bytesPerElement: 6,
    wasm: (k, b, n) => k.unpackBf16(b.halves, n, 1, b.gradient),
    plain: (v) => convert.unpackBf16(v.halves, 1, v.gradient),
  },
  {
    name: 'addBf16',
    bytesPerElement: 10,
    wasm: (k, b, n) => k.addBf16(b.halves, n, 2 ** -20, b.gradient),
    plain: (v) => accumulate.addBf16(v.halves, 2 ** -20, v.gradient),
  },
  {
    name: 'scaleF32',
    bytesPerElement: 8,
    wasm: (k, b, n) => k.scaleF32(b.param, n, 0.5, b.gradient),
    plain: (v) => accumulate.scaleF32(v.param, 0.5, v.gradient),
  },
  {
    name: 'addF32',
    bytesPerElement: 12,
    wasm: (k, b, n) => k.addF32(b.param, n, 2 ** -20, b.gradient),
    plain: (v) => accumulate.addF32(v.param, 2 ** -20, v.gradient),
  },
  {
    name: 'absmax',
    bytesPerElement: 4,
    wasm: (k, b, n) => k.absmax(b.gradient, n),
    plain: (v) => reduce.absmax(v.gradient),
  },
  {
    name: 'allFiniteF16',
    bytesPerElement: 2,
    wasm: (k, b, n) => k.allFiniteF16(b.halves, n),
    plain: (v) => reduce.halvesBelow(v.halves, 0x7c00),
  },
  {
    name: 'sumOfSquares',
    bytesPerElement: 4,
    wasm: (k, b, n) => k.sumOfSquares(b.gradient, n),
    plain: (v) => reduce.sumOfSquares(v.gradient),
  },
  ...lossyCases(),
  {
    name: 'sgd',
    bytesPerElement: 12,
    wasm: (k, b, n) => k.sgd({ param: b.param, gradient: b.gradient, elements: n, ...scalars }),
    plain: (v) => optimize.sgd(v.param, v.gradient, scalars),
  },
  {
    name: 'momentum',
    bytesPerElement: 20,
    wasm: (k, b, n) =>
      k.momentum({ param: b.param, velocity: b.slot1, gradient: b.gradient, elements: n, ...scalars }),
    plain: (v) => optimize.momentum(v.param, v.slot1, v.gradient, scalars),
  },
  {
    name: 'adam',
    bytesPerElement: 28,
    wasm: adamAt,
    plain: (v) => optimize.adam(v.param, v.slot1, v.slot2, v.gradient, adamOptions),
    loop: adamLoop,
  },
  {
    name: 'prepareGradient',
    bytesPerElement: 12,
    wasm: (k, b, n) =>
      k.prepareGradient({ param: b.param, gradient: b.gradient, elements: n, ...prepareOptions }),
    plain: (v) => prepareGradient(v.gradient, v.param, prepareOptions),
  },
  {
    name: 'adagrad',
    bytesPerElement: 20,
    wasm: (k, b, n) =>
      k.adagrad({
        param: b.param,
        sum: b.slot2,
        gradient: b.gradient,
        elements: n,
        ...scalars,
        epsilon: 1e-7,
      }),
    plain: (v) => adaptive.adagrad(v.param, v.slot2, v.gradient, { ...scalars, epsilon: 1e-7 }),
  },
  {
    name: 'rmsprop',
    bytesPerElement: 20,
    wasm: (k, b, n) =>
      k.rmsprop({ param: b.param, square: b.slot2, gradient: b.gradient, elements: n, ...rmspropOptions }),
    plain: (v) => adaptive.rmsprop(v.param, { square: v.slot2 }, v.gradient, rmspropOptions),
  },
  {
    name: 'adamw',
    bytesPerElement: 28,
    wasm: (k, b, n) =>
      k.adamw({
        param: b.param,
        firstMoment: b.slot1,
        secondMoment: b.slot2,
        gradient: b.gradient,
        elements: n,
        ...adamOptions,
        decayRate: 1e-5,
      }),
    plain: (v) => decoupled.adamw(v.param, v.slot1, v.slot2, v.gradient, { ...adamOptions, decayRate: 1e-5 }),
  },
  {
    name: 'lion',
    bytesPerElement: 20,
    wasm: (k, b, n) =>
      k.lion({ param: b.param, moment: b.slot1, gradient: b.gradient, elements: n, ...lionOptions }),
    plain: (v) => decoupled.lion(v.param, v.slot1, v.gradient, lionOptions),
  },
];

function adamLoop({ param, slot1, slot2, gradient }: Block['views']): void {
  const { gradientScale, beta1, beta2, stepSize, epsilon } = adamOptions;
  for (let i = 0; i < param.length; i++) {
    const g = gradient[i] * gradientScale;
    const m = beta1 * slot1[i] + (1 - beta1) * g;
    const v = beta2 * slot2[i] + (1 - beta2) * g * g;
    slot1[i] = m;
    slot2[i] = v;
    param[i] -= (stepSize * m) / (Math.sqrt(v) + epsilon);
  }
}

export function adamAt(
  k: Kernels,
  b: Pick<Block, 'param' | 'slot1' | 'slot2' | 'gradient'>,
  n: number,
): number {
  return k.adam({
    param: b.param,
    firstMoment: b.slot1,
    secondMoment: b.slot2,
    gradient: b.gradient,
    elements: n,
    gradientScale: adamOptions.gradientScale,
    beta1: adamOptions.beta1,
    beta2: adamOptions.beta2,
    stepSize: adamOptions.stepSize,
    epsilon: adamOptions.epsilon,
  });
}
