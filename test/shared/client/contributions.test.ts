// What a worker says of its gradients before it sends them: whether all can be encoded, and else whose is at fault.
import test from 'ava';
import { blockOffset } from '../../../shared/blocks/blocks.js';
import { Contributions } from '../../../shared/client/contributions.js';
import { Maxima } from '../../../shared/client/maxima.js';
import { residualBytes } from '../../../shared/client/residuals.js';
import { codecNames } from '../../../shared/codec/registry.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { layoutOf } from '../../../shared/run/spec.js';
import { makeSpec, normals } from '../../helpers/shards.js';

const tensors = [
  { name: 'first', shape: [1500], kind: 'trainable' },
  { name: 'frozen', shape: [1500], kind: 'frozen' },
  { name: 'bias', shape: [10], kind: 'trainable' },
  { name: 'second', shape: [2000], kind: 'trainable' },
] as const;

for (const codec of codecNames)
  test(`${codec}: the first tensor with a gradient that is not finite is named, frozen ones apart`, (t) => {
    const spec = makeSpec({ tensors, codec, optimizer: optimizerSpec('sgd', 1) });
    const layout = layoutOf(spec);
    const modelBytes = 4 * layout.elementsPadded;
    const kernels = loadKernels({ bytes: 2 * modelBytes + residualBytes(spec, layout) + 4 * 4096 });
    const arena = new Arena(kernels);
    const memory = {
      kernels,
      gradients: arena.alloc(modelBytes),
      parameters: 0,
      scratch: 0,
      residuals: arena.alloc(residualBytes(spec, layout)),
    };
    const maxima = new Maxima(memory, layout, Maxima.share(layout));
    const contributions = new Contributions({ layout, memory, rank: 0, spec }, spec, 0);
    const helped = new Contributions({ layout, memory: { ...memory, maxima }, rank: 0, spec }, spec, 0);
    const gradients = layout.blocks.map((block) =>
      kernels.f32(memory.gradients + 4 * blockOffset(layout, block), block.elements),
    );
    const said = (...faulty: number[]) => {
      for (const [index, gradient] of gradients.entries()) gradient.set(normals(gradient.length, index));
      for (const block of faulty) gradients[block][7] = block % 2 ? Number.NaN : Number.POSITIVE_INFINITY;
      const all = [contributions.measure(0, spec, 1), contributions.faultyTensor];
      maxima.begin();
      t.deepEqual([helped.measure(0, spec, 1), helped.faultyTensor], all);
      return all;
    };
    t.deepEqual(said(), [true, 0]);
    t.deepEqual(said(1), [true, 0]);
    for (const block of [0, 2, 3]) t.deepEqual(said(block), [false, block + 1]);
    t.deepEqual(said(3, 2), [false, 3]);
    t.deepEqual(said(), [true, 0]);
  });
