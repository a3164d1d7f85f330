import { backend, matMul, type TensorInfo, tensor, tidy } from '@tensorflow/tfjs-core';
import test from 'ava';
import { RunError } from '../../../../shared/errors.js';
import { heapOf } from '../../../../worker/backend/wasm/heap.js';
import { startWasm } from '../../../../worker/backend/wasm/index.js';

test.before(async () => {
  await startWasm();
});

const GIB_ELEMENTS = 2 ** 28;

test('an allocation that finds no room throws, and what is there stays whole', (t) => {
  const heap = heapOf(backend());
  const kept = tensor([1, 2, 3, 4], [2, 2]);
  const large: TensorInfo[] = [];
  const error = t.throws(
    () => {
      for (let i = 0; i < 5; i++) large.push(heap.make([GIB_ELEMENTS]));
    },
    { instanceOf: RunError },
  );
  t.regex(error.message, /no room for a tensor of 1024 MiB .* smaller batch/);
  t.true(large.length > 0);
  for (const info of large) heap.release(info);
  t.deepEqual([...kept.dataSync()], [1, 2, 3, 4]);
  tidy(() => t.deepEqual([...matMul(kept as never, kept as never).dataSync()], [7, 10, 15, 22]));
  kept.dispose();
});

test('a view of the heap shows a tensor without a copy', (t) => {
  const heap = heapOf(backend());
  const x = tensor([5, 6, 7]);
  const view = heap.floats(x);
  t.deepEqual([...view], [5, 6, 7]);
  t.is(view.buffer, (backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.buffer);
  x.dispose();
});

test('starting the backend leaves no handlers on the process', (t) => {
  const names = (event: string) => process.listeners(event as 'exit').map((listener) => String(listener));
  t.false(names('uncaughtException').some((text) => text.includes('ExitStatus')));
  t.false(names('unhandledRejection').some((text) => text.includes('throw reason')));
});
