// Blocks cover every element of every tensor once, in canonical order, whatever the shapes.
import test from 'ava';
import fc from 'fast-check';
import { blockOffset, layoutBlocks } from '../../../shared/blocks/blocks.js';
import { elementsOf } from '../../../shared/blocks/manifest.js';
import { RunError } from '../../../shared/errors.js';
import { BLOCK_ELEMENTS_MAX, BLOCKS_MAX } from '../../../shared/limits.js';

const tensor = (...shape: number[]) => ({ name: `t${shape}`, shape, kind: 'trainable' as const });

const anyTensors = fc
  .array(fc.array(fc.integer({ min: 1, max: 900 }), { maxLength: 3 }), { minLength: 1, maxLength: 8 })
  .map((shapes) => shapes.map((shape, i) => ({ name: `t${i}`, shape, kind: 'trainable' as const })));

test('the blocks of a tensor follow one another and cover it once', (t) => {
  fc.assert(
    fc.property(anyTensors, (tensors) => {
      const { blocks, elements } = layoutBlocks(tensors);
      let expected = { tensor: 0, start: 0 };
      for (const [index, block] of blocks.entries()) {
        t.is(block.index, index);
        t.true(block.elements >= 1 && block.elements <= BLOCK_ELEMENTS_MAX);
        t.deepEqual({ tensor: block.tensor, start: block.start }, expected);
        const end = block.start + block.elements;
        const total = elementsOf(tensors[block.tensor].shape);
        t.true(end <= total);
        if (end < total) t.is(block.elements, BLOCK_ELEMENTS_MAX);
        expected =
          end === total ? { tensor: block.tensor + 1, start: 0 } : { tensor: block.tensor, start: end };
      }
      t.deepEqual(expected, { tensor: tensors.length, start: 0 });
      t.is(
        blocks.reduce((sum, block) => sum + block.elements, 0),
        elements,
      );
    }),
    { seed: 20_264, numRuns: 50 },
  );
});

test('in memory that holds the model no two blocks overlap, and tensors start on 64 bytes', (t) => {
  fc.assert(
    fc.property(anyTensors, (tensors) => {
      const layout = layoutBlocks(tensors);
      let end = 0;
      for (const block of layout.blocks) {
        const start = blockOffset(layout, block);
        t.true(start >= end);
        if (block.start === 0) t.is(start % 16, 0);
        end = start + block.elements;
      }
      t.true(end <= layout.elementsPadded);
    }),
    { seed: 20_265, numRuns: 50 },
  );
});

for (const [shape, expected] of [
  [[], [1]],
  [[BLOCK_ELEMENTS_MAX], [BLOCK_ELEMENTS_MAX]],
  [[BLOCK_ELEMENTS_MAX + 1], [BLOCK_ELEMENTS_MAX, 1]],
  [
    [2, BLOCK_ELEMENTS_MAX],
    [BLOCK_ELEMENTS_MAX, BLOCK_ELEMENTS_MAX],
  ],
] as const)
  test(`a tensor of shape [${shape}] is cut into blocks of ${expected}`, (t) => {
    t.deepEqual(
      layoutBlocks([tensor(...shape)]).blocks.map(({ elements }) => elements),
      [...expected],
    );
  });

test('a model of the most blocks is laid out, one more is refused', (t) => {
  t.is(layoutBlocks([tensor(BLOCKS_MAX, BLOCK_ELEMENTS_MAX)]).blocks.length, BLOCKS_MAX);
  t.throws(() => layoutBlocks([tensor(BLOCKS_MAX, BLOCK_ELEMENTS_MAX), tensor()]), {
    instanceOf: RunError,
    message: /at most 65536 blocks/,
  });
});
