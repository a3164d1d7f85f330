// safetensors: against a file of the reference implementation, and against files that lie.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { UserError } from '../../shared/errors.js';
import { DTYPE_BYTES, type Dtype, readSafetensors, writeSafetensors } from '../../shared/safetensors.js';
import { temporaryFolder } from '../helpers/folder.js';

/** Written by safetensors 0.8.0 (Python): dense/kernel [[1.5, -2], [0.25, 1e-8]], steps [7] (int64), empty (0 × 3). */
const REFERENCE =
  'd8000000000000007b225f5f6d657461646174615f5f223a7b2272756e223a2261227d2c227374657073223a7b226474797065223a22493634' +
  '222c227368617065223a5b315d2c22646174615f6f666673657473223a5b302c385d7d2c2264656e73652f6b65726e656c223a7b2264747970' +
  '65223a22463332222c227368617065223a5b322c325d2c22646174615f6f666673657473223a5b382c32345d7d2c22656d707479223a7b2264' +
  '74797065223a22463332222c227368617065223a5b302c335d2c22646174615f6f666673657473223a5b32342c32345d7d7d20202007000000' +
  '000000000000c03f000000c00000803e77cc2b32';

const kernel = {
  name: 'dense/kernel',
  dtype: 'F32',
  shape: [2, 2],
  data: new Float32Array([1.5, -2, 0.25, 1e-8]),
} as const;
const steps = { name: 'steps', dtype: 'I64', shape: [1], data: new BigInt64Array([7n]) } as const;
const empty = { name: 'empty', dtype: 'F32', shape: [0, 3], data: new Float32Array(0) } as const;

/** A file with this header (text, or made into JSON) and so many bytes of data. */
async function fileWith(
  t: ExecutionContext,
  header: unknown,
  dataBytes: number,
  headerBytes?: bigint,
): Promise<string> {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header), 'latin1');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(headerBytes ?? BigInt(text.length));
  const path = join(await temporaryFolder(t), 'x.safetensors');
  await writeFile(path, Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]));
  return path;
}

test('the bytes are those of the reference implementation', async (t) => {
  const path = join(await temporaryFolder(t), 'model.safetensors');
  const size = await writeSafetensors(path, [steps, kernel, empty], { run: 'a' });
  const bytes = await readFile(path);
  t.is(bytes.toString('hex'), REFERENCE);
  t.is(size, bytes.length);
});

test("the reference implementation's file is read", async (t) => {
  const path = join(await temporaryFolder(t), 'model.safetensors');
  await writeFile(path, Buffer.from(REFERENCE, 'hex'));
  const { tensors, metadata } = await readSafetensors(path);
  t.deepEqual(metadata, { run: 'a' });
  t.deepEqual([...tensors.keys()], ['steps', 'dense/kernel', 'empty']);
  const found = tensors.get('dense/kernel');
  t.deepEqual(found?.shape, [2, 2]);
  t.deepEqual(found && new Float32Array(found.data.buffer, found.data.byteOffset, 4), kernel.data);
  t.is(tensors.get('empty')?.data.length, 0);
});

test('writing and reading are inverses, whatever the names, types and shapes', async (t) => {
  const path = join(await temporaryFolder(t), 'model.safetensors');
  const dtype = fc.constantFrom(...(Object.keys(DTYPE_BYTES) as Dtype[]));
  const tensor = fc
    .tuple(fc.string({ unit: 'binary' }), dtype, fc.array(fc.nat(4), { maxLength: 4 }), fc.nat(255))
    .filter(([name]) => name !== '__metadata__' && !/\p{Surrogate}/u.test(name))
    .map(([name, dtype, shape, fill]) => {
      const bytes = shape.reduce((product, length) => product * length, DTYPE_BYTES[dtype]);
      return { name, dtype, shape, data: new Uint8Array(bytes).fill(fill) };
    });
  const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
  const property = fc.asyncProperty(tensors, async (list) => {
    await writeSafetensors(path, list);
    const found = await readSafetensors(path);
    // Empty tensors share their place with the next one, so that only the others have an order.
    const filled = list.filter(({ data }) => data.length > 0).map(({ name }) => name);
    t.deepEqual(
      [...found.tensors].filter(([, { data }]) => data.length > 0).map(([name]) => name),
      filled,
    );
    t.is(found.tensors.size, list.length);
    for (const { name, dtype, shape, data } of list)
      t.deepEqual(found.tensors.get(name), { dtype, shape, data });
  });
  await t.notThrowsAsync(fc.assert(property, { seed: 4, numRuns: 60 }));
});

test('data begin at a multiple of 8 bytes', async (t) => {
  const path = join(await temporaryFolder(t), 'model.safetensors');
  for (const name of ['a', 'ab', 'abc', 'abcd', 'é']) {
    await writeSafetensors(path, [{ ...kernel, name }]);
    const bytes = await readFile(path);
    t.is(Number(bytes.readBigUInt64LE()) % 8, 0);
  }
});

test('a tensor that does not fit its shape, or a name twice, is a bug of the caller', async (t) => {
  const path = join(await temporaryFolder(t), 'model.safetensors');
  await t.throwsAsync(writeSafetensors(path, [{ ...kernel, shape: [3, 2] }]), {
    message: 'tensor dense/kernel of shape [3,2] and type F32 has 16 bytes, not 24',
  });
  await t.throwsAsync(writeSafetensors(path, [kernel, kernel]), {
    message: 'the tensor name "dense/kernel" is taken',
  });
  await t.throwsAsync(readFile(path), { code: 'ENOENT' });
});

const entry = (shape: unknown, data_offsets: unknown, dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets,
});
const lies: [string, unknown, number, RegExp, bigint?][] = [
  [
    'a header longer than any',
    '{}',
    0,
    /its header claims 18446744073709551615 bytes, at most/,
    2n ** 64n - 1n,
  ],
  ['a header longer than the file', '{}', 0, /its header claims 9 bytes, but the file has only 10/, 9n],
  ['a header of no bytes', '', 0, /its header does not begin with "\{"/],
  ['a header that is a list', '[]', 0, /its header does not begin with "\{"/],
  ['a header that ends too early', '{"a"', 0, /its header is not JSON in UTF-8/],
  ['a header that is not UTF-8', '{"\xff": 1}', 0, /its header is not JSON in UTF-8/],
  [
    'metadata that are no strings',
    { __metadata__: { a: 1 } },
    0,
    /__metadata__ must hold strings only, got 1 for "a"/,
  ],
  [
    'metadata that are a string',
    { __metadata__: 'a' },
    0,
    /__metadata__ must be an object of strings, got "a"/,
  ],
  ['a tensor that is null', { a: null }, 0, /"a" must be an object, got null/],
  [
    'a type that does not exist',
    { a: entry([1], [0, 4], 'F33') },
    4,
    /"a" has the type "F33", expected one of F64/,
  ],
  ['a type of every object', { a: entry([1], [0, 4], 'toString') }, 4, /"a" has the type "toString"/],
  ['a negative length', { a: entry([-1], [0, 4]) }, 4, /"a" has the shape \[-1\], expected whole numbers/],
  ['a shape that is no list', { a: entry(4, [0, 4]) }, 4, /"a" has the shape 4/],
  [
    'a shape beyond all memory',
    { a: entry([2 ** 40, 2 ** 40], [0, 4]) },
    4,
    /"?the shape \[.*\] is beyond all memory/,
  ],
  ['three offsets', { a: entry([1], [0, 4, 8]) }, 4, /"a" has the data_offsets \[0,4,8\]/],
  ['offsets that run backwards', { a: entry([1], [4, 0]) }, 4, /"a" has the data_offsets \[4,0\]/],
  [
    'fewer bytes than the shape takes',
    { a: entry([2], [0, 4]) },
    4,
    /"a" has 4 bytes, but its shape \[2\] of F32 takes 8/,
  ],
  [
    'offsets beyond the file',
    { a: entry([2], [0, 8]) },
    4,
    /its tensors take 8 bytes of data, but 4 are there/,
  ],
  [
    'data that nobody owns',
    { a: entry([1], [0, 4]) },
    8,
    /its tensors take 4 bytes of data, but 8 are there/,
  ],
  [
    'a gap',
    { a: entry([1], [0, 4]), b: entry([1], [8, 12]) },
    12,
    /"b" leaves a gap before it: it begins at byte 8, expected 4/,
  ],
  [
    'an overlap',
    { a: entry([2], [0, 8]), b: entry([1], [4, 8]) },
    8,
    /"b" overlaps the tensor before it: it begins at byte 4, expected 8/,
  ],
  [
    'two tensors in one place',
    { a: entry([1], [0, 4]), b: entry([1], [0, 4]) },
    4,
    /"b" overlaps the tensor before it/,
  ],
];
for (const [title, header, dataBytes, message, headerBytes] of lies) {
  test(`${title} is refused with the file's name`, async (t) => {
    const path = await fileWith(t, header, dataBytes, headerBytes);
    const error = await t.throwsAsync(readSafetensors(path), { instanceOf: UserError, message });
    t.true(error?.message.startsWith(`${path} is no safetensors file`));
    t.false(error?.message.includes('\n'));
  });
}

test('a file that ends at any byte is refused', async (t) => {
  const path = join(await temporaryFolder(t), 'cut.safetensors');
  const whole = Buffer.from(REFERENCE, 'hex');
  for (let length = 0; length < whole.length; length += 3) {
    await writeFile(path, whole.subarray(0, length));
    await t.throwsAsync(readSafetensors(path), { instanceOf: UserError }, `cut at ${length}`);
  }
});

test('a file that is not there is refused by name', async (t) => {
  await t.throwsAsync(readSafetensors('/nowhere/x.safetensors'), {
    instanceOf: UserError,
    message:
      'Cannot read /nowhere/x.safetensors: it or its folder does not exist; mend that, or give another path',
  });
});
