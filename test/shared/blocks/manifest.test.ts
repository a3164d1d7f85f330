// The model as the mesh sees it: its hash, what is wrong with one from elsewhere, and where two differ.
import test from 'ava';
import {
  manifestDifference,
  manifestFault,
  schemaHash,
  type TensorSpec,
} from '../../../shared/blocks/manifest.js';
import { NAME_CHARACTERS_MAX, TENSOR_RANK_MAX, TENSORS_MAX } from '../../../shared/limits.js';

const tensor = (changes: Partial<TensorSpec> = {}): TensorSpec => ({
  name: 'w',
  shape: [2, 3],
  kind: 'trainable',
  ...changes,
});

test('a schema hash is 32 bytes and the same for equal tensors', (t) => {
  t.is(schemaHash([tensor()]).length, 32);
  t.deepEqual(schemaHash([tensor()]), schemaHash([structuredClone(tensor())]));
});

for (const [title, tensors] of [
  ['name', [tensor({ name: 'v' })]],
  ['shape', [tensor({ shape: [3, 2] })]],
  ['rank', [tensor({ shape: [6] })]],
  ['kind', [tensor({ kind: 'state' })]],
  ['number of tensors', [tensor(), tensor({ name: 'v' })]],
  ['name that imitates the canonical text', [tensor({ name: 'w",[2,3],"trainable"]\n["v' })]],
] as const)
  test(`another ${title} gives another schema hash and a difference in words`, (t) => {
    t.notDeepEqual(schemaHash([...tensors]), schemaHash([tensor()]));
    t.regex(manifestDifference([tensor()], [...tensors]) ?? '', /^expected .*, got /s);
    t.is(manifestDifference([...tensors], [...tensors]), undefined);
  });

test('the order of tensors is part of the schema', (t) => {
  const pair = [tensor({ name: 'a' }), tensor({ name: 'b' })];
  t.notDeepEqual(schemaHash(pair), schemaHash(pair.toReversed()));
});

for (const [title, tensors, fault] of [
  ['no tensor', [], /at least one tensor/],
  [
    'too many tensors',
    Array.from({ length: TENSORS_MAX + 1 }, (_, i) => tensor({ name: `t${i}` })),
    /at most 16384 tensors/,
  ],
  ['an empty name', [tensor({ name: '' })], /names of 1 to 256 characters/],
  ['a name too long', [tensor({ name: 'x'.repeat(NAME_CHARACTERS_MAX + 1) })], /got one of 257/],
  ['a name twice', [tensor(), tensor()], /'w' twice/],
  [
    'too many dimensions',
    [tensor({ shape: new Array(TENSOR_RANK_MAX + 1).fill(1) })],
    /at most 8 dimensions, got 9/,
  ],
  ['a dimension of 0', [tensor({ shape: [3, 0] })], /positive dimensions, got \[3,0\]/],
  ['a negative dimension', [tensor({ shape: [-1] })], /positive dimensions/],
  ['a fractional dimension', [tensor({ shape: [1.5] })], /positive dimensions/],
  ['more elements than can be counted', [tensor({ shape: [2 ** 31, 2 ** 31] })], /too large to count/],
] as const)
  test(`a model with ${title} is told so`, (t) => {
    t.regex(manifestFault(tensors) ?? '', fault);
  });

test('an ordinary model has no fault', (t) => {
  t.is(manifestFault([tensor(), tensor({ name: 'b', shape: [] })]), undefined);
});
