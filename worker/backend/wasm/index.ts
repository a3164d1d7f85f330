// The wasm backend, fit for training: the stock one with the kernels it lacks, gets wrong or does slowly replaced by
// ours (assembly/ on its own heap). Everything here can be called before or after the backend has started.
import { setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { overrideConvolution } from './convolution.js';
import { overrideDepthwise } from './depthwise.js';
import { overrideDilation } from './dilation.js';
import { addGradientKernels, overrideCopies, overrideElementwise, overrideSums } from './elementwise.js';
import { registerGradients } from './gradients.js';
import { overrideLayout } from './layout.js';
import { overrideMatMul } from './matmul.js';
import { overridePool } from './pool.js';

let mended = false;

/** Puts our kernels in place of the stock ones. Calling it again changes nothing. */
export function mendKernels(): void {
  if (mended) return;
  mended = true;
  overrideCopies();
  overrideElementwise();
  addGradientKernels();
  overrideSums();
  overrideLayout();
  overrideMatMul();
  overrideConvolution();
  overrideDepthwise();
  overridePool();
  overrideDilation();
  registerGradients();
}

/**
 * Starts the mended wasm backend and makes it the current one.
 * Handlers that emscripten puts on the process at start are taken off again: they would turn every rejected promise
 * of ours into a crash with a stack trace.
 */
export async function startWasm(): Promise<boolean> {
  mendKernels();
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map((event) => new Set<unknown>(process.listeners(event as 'uncaughtException')));
  const started = await setBackend('wasm');
  for (const [i, event] of events.entries()) {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!before[i].has(listener)) process.removeListener(event, listener);
    }
  }
  return started;
}
