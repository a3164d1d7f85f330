// WebGPU outside a browser: Dawn, from the npm package `webgpu`, under tfjs-backend-webgpu. That backend expects a
// browser's globals when it is imported, and no more of them than are set here.
import {
  backend,
  getKernel,
  type KernelFunc,
  registerKernel,
  setBackend,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { RunError } from '../../shared/errors.js';
import type { Load } from './optional-package.js';

interface Dawn {
  create(options: string[]): { requestAdapter(): Promise<unknown> };
  globals: object;
}

interface Device {
  addEventListener(type: 'uncapturederror', listener: (event: { error: { message: string } }) => void): void;
}

/** A device in error gives wrong numbers and goes on: nothing that it returns can be trusted any more. */
function dieOfErrors(device: Device): void {
  device.addEventListener('uncapturederror', ({ error }) => {
    const [line] = error.message.split('\n');
    setImmediate(() => {
      throw new RunError(
        `the webgpu device reported an error, so its results are not to be trusted: ${line}`,
      );
    });
  });
}

/**
 * Casting int32 or bool to float32 relabels the buffer and leaves integers in it; a transpose after that compiles to
 * an invalid shader, whose result is silently wrong. LeakyRelu with a slope of 1 changes no value, and converts.
 */
export function overrideCast(): void {
  const stock = getKernel('Cast', 'webgpu');
  const convert = getKernel('LeakyRelu', 'webgpu');
  if (!stock || !convert)
    throw new Error('tfjs-backend-webgpu has no kernel Cast or LeakyRelu; install version 4.22');
  const kernelFunc: KernelFunc = (args) => {
    const { x } = args.inputs as unknown as { x: { dtype: string } };
    const { dtype } = args.attrs as { dtype: string };
    const relabels = dtype === 'float32' && (x.dtype === 'int32' || x.dtype === 'bool');
    return relabels ? convert.kernelFunc({ ...args, attrs: { alpha: 1 } }) : stock.kernelFunc(args);
  };
  unregisterKernel('Cast', 'webgpu');
  registerKernel({ ...stock, kernelFunc });
}

/** Starts Dawn and the backend on it. Throws where there is no adapter. */
export async function startWebgpu(load: Load): Promise<void> {
  const { create, globals } = (await load('webgpu')) as Dawn;
  Object.assign(globalThis, globals);
  const gpu = create([]);
  // Node 21 and later have a navigator of their own, which cannot be assigned to.
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true, writable: true });
  await load('@tensorflow/tfjs-backend-webgpu');
  if (!(await gpu.requestAdapter()))
    throw new Error('Dawn found no adapter (a Vulkan, Metal or D3D12 driver)');
  overrideCast();
  if (!(await setBackend('webgpu'))) throw new Error('its device did not start');
  dieOfErrors((backend() as unknown as { device: Device }).device);
}
