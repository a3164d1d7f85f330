// Norms over blocks on several servers, and what follows from them: clipping by global norm, LAMB's step.
import test from 'ava';
import fc from 'fast-check';
import { adamScalars } from '../../../shared/kernels/kernels.js';
import { clipFactor, norm, squaredNorm, trustRatio } from '../../../shared/optimizer/norms.js';
import { normals } from '../../helpers/shards.js';
import { kernels, place, read } from '../kernels/memory.js';

test('a norm has the same bits whatever server and order the sums come from', (t) => {
  const square = fc.double({ min: 0, max: 1e12, noNaN: true });
  let ordered = 0;
  fc.assert(
    fc.property(fc.array(square, { minLength: 1, maxLength: 40 }), fc.nat(), (values, seed) => {
      const blocks = values.map((_, index) => index);
      const expected = norm(new Map(values.entries()), blocks);
      const shuffled = [...values.entries()].sort(
        ([a], [b]) => ((a * 7919 + seed) % 41) - ((b * 7919 + seed) % 41),
      );
      t.is(norm(new Map(shuffled), blocks), expected);
      const other = Math.sqrt(shuffled.reduce((sum, [, value]) => sum + value, 0));
      ordered += other === expected ? 0 : 1;
      t.true(Math.abs(other - expected) <= 1e-12 * expected);
    }),
    { seed: 20_266, numRuns: 300 },
  );
  t.true(ordered > 0, 'expected sums whose order shows');
});

test('a norm without one of its blocks, or out of order, is a mistake of ours', (t) => {
  const squares = new Map([
    [0, 1],
    [2, 3],
  ]);
  t.throws(() => norm(squares, [0, 1, 2]), { message: /block 1 is missing/ });
  t.throws(() => norm(squares, [2, 0]), { message: /canonical order/ });
  t.is(norm(squares, [0, 2]), 2);
});

test('clipping by global norm leaves what is small alone and brings the rest to the norm', (t) => {
  const blocks = [0, 1, 2].map((block) => normals(50 + block, 'clip', block));
  const at = place(0, ...blocks);
  const squares = new Map(
    blocks.map(({ length }, block) => [block, squaredNorm(kernels, at[block], length, 1 / 8)]),
  );
  const exact = Math.sqrt(blocks.flatMap((block) => [...block]).reduce((sum, x) => sum + (x / 8) ** 2, 0));
  const found = norm(squares, [0, 1, 2]);
  t.true(Math.abs(found - exact) < 1e-12 * exact);
  t.is(clipFactor(found, found), 1);
  t.is(clipFactor(found, 2 * found), 1);
  t.is(clipFactor(0, 1), 1);
  const factor = clipFactor(found, found / 4);
  t.true(Math.abs(factor - 0.25) < 1e-15);
});

test('a tensor of zeros, or one that stands still, has a trust ratio of one', (t) => {
  t.is(trustRatio(0, 3), 1);
  t.is(trustRatio(3, 0), 1);
  t.is(trustRatio(6, 3), 2);
});

test('LAMB over a tensor of two blocks steps as its paper says, in float64', (t) => {
  const sizes = [70, 33];
  const elements = sizes[0] + sizes[1];
  const initial = normals(elements, 'lamb');
  const pieces = (all: Float32Array) => [all.slice(0, sizes[0]), all.slice(sizes[0])];
  const blocks = pieces(initial).map((values) => {
    const zeros = new Float32Array(values.length);
    return { values, zeros };
  });
  // One placement for all: each call starts at the bottom of the memory.
  const all = place(0, ...blocks.flatMap(({ values, zeros }) => [values, zeros, zeros, zeros]));
  const at = blocks.map((_, block) => all.slice(4 * block, 4 * block + 4));

  const [rate, beta1, beta2, epsilon, weightDecay] = [0.02, 0.9, 0.999, 1e-6, 0.1];
  const exact = Float64Array.from(initial);
  const m = new Float64Array(elements);
  const v = new Float64Array(elements);
  const length = (values: Float64Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  for (let step = 1; step <= 50; step++) {
    const gradient = normals(elements, 'lamb', step);
    const direction = Float64Array.from(gradient, (g, i) => {
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      return (
        m[i] / (1 - beta1 ** step) / (Math.sqrt(v[i] / (1 - beta2 ** step)) + epsilon) +
        weightDecay * exact[i]
      );
    });
    const trust = length(exact) / length(direction);
    for (let i = 0; i < elements; i++) exact[i] -= rate * trust * direction[i];

    const scalars = adamScalars(step, { learningRate: 1, beta1, beta2, epsilon });
    const squares = { param: new Map<number, number>(), direction: new Map<number, number>() };
    for (const [block, part] of pieces(gradient).entries()) {
      const [param, firstMoment, secondMoment, address] = at[block];
      kernels.f32(address, part.length).set(part.map((x) => 8 * x));
      const shared = {
        param,
        gradient: address,
        elements: part.length,
        beta1,
        beta2,
        weightDecay,
        gradientScale: 1 / 8,
      };
      kernels.lambDirection({ ...shared, firstMoment, secondMoment, ...scalars });
      squares.param.set(block, squaredNorm(kernels, param, part.length, 1));
      squares.direction.set(block, squaredNorm(kernels, address, part.length, 1));
    }
    const learningRate = rate * trustRatio(norm(squares.param, [0, 1]), norm(squares.direction, [0, 1]));
    for (const [block, [param, , , gradientOf]] of at.entries())
      kernels.sgd({ param, gradient: gradientOf, elements: sizes[block], gradientScale: 1, learningRate });
  }
  const ours = at.flatMap(([param], block) => [...read(param, blocks[block].values)]);
  for (const [i, value] of exact.entries()) t.true(Math.abs(ours[i] - value) < 1e-5, `element ${i}`);
});
