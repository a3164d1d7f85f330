// The backends of tfjs-node, on the CPU or on an NVIDIA GPU. Both register as `tensorflow`.
import util from 'node:util';
import { backend, removeBackend, setBackend } from '@tensorflow/tfjs-core';
import type { Load } from './optional-package.js';

/** tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 took out. */
function restoreIsNullOrUndefined(): void {
  const methods = util as unknown as Record<string, unknown>;
  if (typeof methods.isNullOrUndefined !== 'function') {
    methods.isNullOrUndefined = (value: unknown) => value === null || value === undefined;
  }
}

async function start(load: Load, packageName: string): Promise<void> {
  restoreIsNullOrUndefined();
  await load(packageName);
  if (!(await setBackend('tensorflow'))) throw new Error('it registered no backend named tensorflow');
}

/** Starts tfjs-node-gpu, and makes sure that it has a GPU: without one it computes on the CPU and says nothing. */
export async function startCuda(load: Load): Promise<void> {
  await start(load, '@tensorflow/tfjs-node-gpu');
  if ((backend() as { isUsingGpuDevice?: boolean }).isUsingGpuDevice !== true) {
    removeBackend('tensorflow');
    throw new Error('it found no GPU (it needs an NVIDIA driver, CUDA 11.2 and cuDNN 8.1)');
  }
}

/** Starts tfjs-node. */
export async function startTensorflow(load: Load): Promise<void> {
  await start(load, '@tensorflow/tfjs-node');
}
