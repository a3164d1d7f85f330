// fp32 values into tensors and out of them, with one copy where the backend allows it: WebAssembly's heap is read and
// written in place; elsewhere through TensorFlow.js.
import { backend, engine, getBackend, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { heapOf } from '../backend/wasm/heap.js';

/** Copies a tensor's values to `target`, which has as many elements. */
export async function readValues(source: Tensor, target: Float32Array): Promise<void> {
  // The view is valid until something is allocated on the heap, and nothing is before the copy is done.
  target.set(
    getBackend() === 'wasm' ? heapOf(backend()).floats(source) : ((await source.data()) as Float32Array),
  );
}

/** A new fp32 tensor with a copy of the values; the caller disposes of it. */
export function fromValues(values: Float32Array, shape: readonly number[]): Tensor {
  // Other backends keep the array that they are given, and this one is used again.
  if (getBackend() !== 'wasm') return tensor(new Float32Array(values), [...shape], 'float32');
  const heap = heapOf(backend());
  const info = heap.make([...shape], 'float32');
  heap.floats(info).set(values);
  return engine().makeTensorFromTensorInfo(info);
}
