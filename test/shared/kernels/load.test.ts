// Memory and loading: sizes, sharing between threads, refusals.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { RunError } from '../../../shared/errors.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels, WASM_PAGE_BYTES } from '../../../shared/kernels/load.js';
import { SHARD_MEMORY_MAX_BYTES } from '../../../shared/limits.js';

test('a memory has the pages that were asked for, is shared and starts as zeros', (t) => {
  const kernels = loadKernels({ bytes: 3 * WASM_PAGE_BYTES });
  t.true(kernels.memory.buffer instanceof SharedArrayBuffer);
  t.is(kernels.memory.buffer.byteLength, 4 * WASM_PAGE_BYTES);
  const free = kernels.memory.buffer.byteLength - kernels.firstFreeByte;
  t.true(kernels.u8(kernels.firstFreeByte, free).every((byte) => byte === 0));
  t.is(loadKernels({ bytes: 0 }).memory.buffer.byteLength, WASM_PAGE_BYTES);
});

test('no kernel writes below the first free byte', (t) => {
  const kernels = loadKernels({ bytes: 8192 });
  const at = kernels.firstFreeByte;
  kernels.f32(at, 64).fill(3);
  kernels.packF16(at, 64, 1, at + 256);
  kernels.absmax(at, 64);
  t.true(kernels.u8(0, at).every((byte) => byte === 0));
});

test('two threads work on one memory', async (t) => {
  const kernels = loadKernels({ bytes: 4096 });
  const at = kernels.firstFreeByte;
  kernels.f32(at, 5).set([1, 2, 3, 4, 5]);
  const load = new URL('../../../shared/kernels/load.js', import.meta.url).href;
  const code = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.load).then(({ loadKernels }) => {
      const kernels = loadKernels({ memory: workerData.memory });
      kernels.scaleF32(workerData.at, 5, 10, workerData.at);
      parentPort.postMessage(kernels.absmax(workerData.at, 5));
    });`;
  const thread = new Worker(code, { eval: true, workerData: { load, memory: kernels.memory, at } });
  const [absmax] = await once(thread, 'message');
  await thread.terminate();
  t.is(absmax, 50);
  t.deepEqual([...kernels.f32(at, 5)], [10, 20, 30, 40, 50]);
});

test('more memory than 32 bits can address is refused with both numbers', (t) => {
  const error = t.throws(() => loadKernels({ bytes: SHARD_MEMORY_MAX_BYTES }), { instanceOf: RunError });
  t.regex(error.message, /4294901760 bytes were asked .* 4294900736 at most/);
  t.throws(() => loadKernels({ bytes: Number.NaN }), { instanceOf: RunError });
  t.throws(() => loadKernels({ bytes: -1 }), { instanceOf: RunError });
});

test('an access outside the memory traps', (t) => {
  const kernels = loadKernels({ bytes: 0 });
  t.throws(() => kernels.absmax(WASM_PAGE_BYTES - 4, 2), { message: /out of bounds/ });
  t.throws(() => kernels.f32(WASM_PAGE_BYTES, 1), { instanceOf: RangeError });
});

test('an arena hands out aligned ranges that do not touch', (t) => {
  const kernels = loadKernels({ bytes: 65_536 });
  const arena = new Arena(kernels);
  const ends: number[] = [kernels.firstFreeByte];
  for (const bytes of [1, 64, 65, 0, 1000]) {
    const start = arena.alloc(bytes);
    t.is(start % 64, 0);
    t.true(start >= Math.max(...ends));
    ends.push(start + bytes);
  }
  t.is(arena.alloc(4, 4), Math.max(...ends));
});

test('an arena that is full says what was needed and what is left, and takes nothing', (t) => {
  const kernels = loadKernels({ bytes: 0 });
  const arena = new Arena(kernels, { start: 1024, end: 1524 });
  arena.alloc(100);
  const error = t.throws(() => arena.alloc(500), { instanceOf: RunError });
  t.regex(error.message, /500 bytes are needed .* 372 are left/);
  t.is(arena.availableBytes, 400);
  t.is(arena.alloc(372), 1152);
  t.throws(() => arena.alloc(1), { instanceOf: RunError, message: /0 are left/ });
  t.throws(() => new Arena(kernels).alloc(Number.NaN), { instanceOf: RunError });
});
