// Largest magnitudes of gradients, found by two threads together: whoever takes which block, each is that of the step
// that was begun last.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import fc from 'fast-check';
import { blockOffset, layoutBlocks } from '../../../shared/blocks/blocks.js';
import { Maxima } from '../../../shared/client/maxima.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { normals } from '../../helpers/shards.js';

const layout = layoutBlocks([
  { name: 'first', shape: [700], kind: 'trainable' },
  { name: 'frozen', shape: [300], kind: 'frozen' },
  { name: 'second', shape: [3, 100_000], kind: 'trainable' },
  { name: 'state', shape: [5], kind: 'state' },
]);

function setUp() {
  const kernels = loadKernels({ bytes: 4 * layout.elementsPadded + 4096 });
  const gradients = new Arena(kernels).alloc(4 * layout.elementsPadded);
  const of = layout.blocks.map((block) =>
    kernels.f32(gradients + 4 * blockOffset(layout, block), block.elements),
  );
  return { kernels, memory: { kernels, gradients }, of };
}

/** Magnitudes one by one. */
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

test('in whatever order two measure, and however far each comes, every maximum is that of its step', (t) => {
  const { memory, of } = setUp();
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ helper: fc.constantFrom('before', 'after', 'never'), bad: fc.option(fc.nat(6)) }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      (steps) => {
        const shared = Maxima.share(layout);
        const [writer, sender] = [0, 1].map(() => new Maxima(memory, layout, shared));
        for (const [step, { helper, bad }] of steps.entries()) {
          for (const [index, values] of of.entries()) {
            values.set(normals(values.length, index, step));
            if (index === bad) values[3] = Number.NaN;
          }
          writer.begin();
          if (helper === 'before') writer.find();
          else if (step % 2) sender.find();
          for (const block of layout.blocks)
            if (block.kind !== 'frozen') t.is(sender.of(block), largest(of[block.index]));
          if (helper === 'after') writer.find();
        }
      },
    ),
    { numRuns: 10 },
  );
});

test('two threads at once find what one finds', async (t) => {
  const { kernels, memory, of } = setUp();
  const shared = Maxima.share(layout);
  const maxima = new Maxima(memory, layout, shared);
  const url = (path: string) => new URL(path, new URL('../../../', import.meta.url)).href;
  const helper = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
    (async () => {
      const { Maxima } = await import(workerData.maxima);
      const { loadKernels } = await import(workerData.load);
      const { memory, gradients, layout, shared } = workerData;
      const maxima = new Maxima({ kernels: loadKernels({ memory }), gradients }, layout, shared);
      parentPort.on('message', () => { maxima.find(); parentPort.postMessage('found'); });
      parentPort.postMessage('ready');
    })();`,
    {
      eval: true,
      workerData: {
        maxima: url('shared/client/maxima.js'),
        load: url('shared/kernels/load.js'),
        ...{ memory: kernels.memory, gradients: memory.gradients, layout, shared },
      },
    },
  );
  const heard = () => once(helper, 'message');
  await heard();
  for (let step = 0; step < 50; step++) {
    for (const [index, values] of of.entries()) values.fill(0.5 + index + step).fill(-1000 - step, 2, 3);
    maxima.begin();
    const found = heard();
    helper.postMessage('find');
    maxima.find();
    for (const block of layout.blocks) if (block.kind !== 'frozen') t.is(maxima.of(block), 1000 + step);
    await found;
  }
  await helper.terminate();
});
