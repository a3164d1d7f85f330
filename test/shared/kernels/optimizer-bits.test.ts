// Adagrad, rmsprop, adamw, lion, lamb's direction and the pass before them: the bits of the twins, and that a NaN
// shows in what an optimizer returns.
import test from 'ava';
import fc from 'fast-check';
import { adamScalars } from '../../../shared/kernels/kernels.js';
import * as adaptive from '../../../shared/kernels/plain/adaptive.js';
import * as decoupled from '../../../shared/kernels/plain/decoupled.js';
import { prepareGradient } from '../../../shared/kernels/plain/prepare.js';
import { anyFloat, anyShift, arrayOf, bitsOf, fixed, kernels, place, read, tameFloat } from './memory.js';

const plain = { ...adaptive, ...decoupled, prepareGradient };
const rate = { gradientScale: 1 / 48, learningRate: 0.05 };
const adamwOptions = { beta1: 0.9, beta2: 0.999, learningRate: 0.05, epsilon: 1e-7 };

/** A parameter, a slot of either sign, one that is never negative, and a gradient, from one array. */
const fourOf = (values: Float32Array) => [
  values,
  values.map((x) => x / 5).reverse(),
  values.map((x) => Math.abs(x) / 3),
  values.toReversed(),
];

interface Case {
  name: string;
  /** By kernel and by twin on [param, slot, positive slot, gradient]; gives what they return. */
  wasm(at: number[], elements: number): number;
  twin(arrays: Float32Array[]): number;
}

const CASES: Case[] = [
  {
    name: 'adagrad',
    wasm: ([param, , sum, gradient], elements) =>
      kernels.adagrad({ param, sum, gradient, elements, epsilon: 1e-7, ...rate }),
    twin: ([param, , sum, gradient]) => plain.adagrad(param, sum, gradient, { ...rate, epsilon: 1e-7 }),
  },
  ...[false, true].flatMap((moving) =>
    [false, true].map((centered): Case => {
      const options = { ...rate, decay: 0.9, momentum: moving ? 0.8 : 0, epsilon: 1e-7 };
      return {
        name: `rmsprop${moving ? ' with momentum' : ''}${centered ? ', centered' : ''}`,
        wasm: ([param, slot, square, gradient, mean], elements) =>
          kernels.rmsprop({
            param,
            square,
            velocity: moving ? slot : undefined,
            mean: centered ? mean : undefined,
            gradient,
            elements,
            ...options,
          }),
        twin: ([param, slot, square, gradient, mean]) =>
          plain.rmsprop(
            param,
            { square, velocity: moving ? slot : undefined, mean: centered ? mean : undefined },
            gradient,
            options,
          ),
      };
    }),
  ),
  ...[0, 1e-3].map((decayRate): Case => {
    const options = {
      gradientScale: 1 / 64,
      beta1: 0.9,
      beta2: 0.999,
      ...adamScalars(7, adamwOptions),
      decayRate,
    };
    return {
      name: `adamw with a decay of ${decayRate}`,
      wasm: ([param, firstMoment, secondMoment, gradient], elements) =>
        kernels.adamw({ param, firstMoment, secondMoment, gradient, elements, ...options }),
      twin: ([param, first, second, gradient]) => plain.adamw(param, first, second, gradient, options),
    };
  }),
  (() => {
    const options = {
      gradientScale: 1 / 64,
      beta1: 0.9,
      beta2: 0.999,
      ...adamScalars(7, { ...adamwOptions, learningRate: 1 }),
      weightDecay: 0.01,
    };
    return {
      name: "lamb's direction",
      wasm: ([param, firstMoment, secondMoment, gradient], elements) => {
        kernels.lambDirection({ param, firstMoment, secondMoment, gradient, elements, ...options });
        return 0;
      },
      twin: ([param, first, second, gradient]) => {
        plain.lambDirection(param, first, second, gradient, options);
        return 0;
      },
    } satisfies Case;
  })(),
  ...[0, 1e-3].map((decayRate): Case => {
    const options = { ...rate, beta1: 0.9, beta2: 0.99, decayRate };
    return {
      name: `lion with a decay of ${decayRate}`,
      wasm: ([param, moment, , gradient], elements) =>
        kernels.lion({ param, moment, gradient, elements, ...options }),
      twin: ([param, moment, , gradient]) => plain.lion(param, moment, gradient, options),
    };
  }),
  ...[
    { clipValue: Number.POSITIVE_INFINITY, l1: 0, l2: 0.01 },
    { clipValue: Number.POSITIVE_INFINITY, l1: 0.02, l2: 0 },
    { clipValue: 0.125, l1: 0.02, l2: 0.01 },
    { clipValue: 0.125, l1: 0, l2: 0 },
  ].map((options): Case => {
    const all = { gradientScale: 1 / 3, ...options };
    return {
      name: `the pass before, ${JSON.stringify(options)}`,
      wasm: ([param, , , gradient], elements) => {
        kernels.prepareGradient({ gradient, param, elements, ...all });
        return 0;
      },
      twin: ([param, , , gradient]) => {
        plain.prepareGradient(gradient, param, all);
        return 0;
      },
    };
  }),
];

for (const { name, wasm, twin } of CASES)
  for (const [kind, element] of [
    ['gradients as they come', tameFloat],
    ['any fp32', anyFloat],
  ] as const)
    test(`${name} gives the bits of its twin for ${kind}`, (t) => {
      fc.assert(
        fc.property(arrayOf(element), anyShift, (values, shift) => {
          const arrays = [...fourOf(values), values.map((x) => x / 7)];
          const at = place(shift, ...arrays);
          t.is(wasm(at, values.length), twin(arrays));
          for (const [i, array] of arrays.entries())
            t.deepEqual(bitsOf(read(at[i], array)), bitsOf(array), `array ${i}`);
        }),
        fixed,
      );
    });

test('a NaN in a gradient shows in what each returns, wherever it stands', (t) => {
  for (const { name, wasm } of CASES.filter((each) => !/^the pass|^lamb/.test(each.name)))
    for (let n = 1; n < 8; n++)
      for (let bad = 0; bad < n; bad++) {
        const one = new Float32Array(n).fill(1);
        const gradient = one.map((x, i) => (i === bad ? Number.NaN : x));
        t.is(wasm(place(0, one, one, one, gradient, one), n), Number.NaN, name);
      }
});
