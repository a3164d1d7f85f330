// How a kernel of ours takes the place of a stock one: under its name, with its setup kept (other stock kernels
// share it), and able to hand over to it for the cases that the stock kernel does well.
import {
  getKernel,
  type KernelFunc,
  registerKernel,
  type TensorInfo,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { type Heap, heapOf } from './heap.js';

export interface Call<Inputs, Attributes> {
  heap: Heap;
  inputs: Inputs;
  attrs: Attributes;
  /** Runs the stock kernel instead. Throws where there is none. */
  stock(): TensorInfo | TensorInfo[];
}

/** Registers a kernel for the wasm backend, in place of the stock one if there is one. */
export function override<Inputs, Attributes = Record<string, never>>(
  kernelName: string,
  run: (call: Call<Inputs, Attributes>) => TensorInfo | TensorInfo[],
): void {
  const stock = getKernel(kernelName, 'wasm');
  if (stock) unregisterKernel(kernelName, 'wasm');
  const kernelFunc: KernelFunc = (args) =>
    run({
      heap: heapOf(args.backend),
      inputs: args.inputs as Inputs,
      attrs: args.attrs as Attributes,
      stock: () => {
        if (stock) return stock.kernelFunc(args);
        throw new Error(`the wasm backend has no kernel ${kernelName} of its own`);
      },
    });
  registerKernel({ kernelName, backendName: 'wasm', kernelFunc, setupFunc: stock?.setupFunc });
}
