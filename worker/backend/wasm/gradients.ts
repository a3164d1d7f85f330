// Gradients that tfjs composes of several kernels and full-size intermediates, as one kernel each on wasm. The
// registry of gradients knows no backends, so each falls back to tfjs's own on any other backend.
// tfjs-core has no gradients in Node until tfjs-layers is imported, which registers them: hence that import.
import {
  engine,
  type GradFunc,
  getBackend,
  getGradient,
  registerGradient,
  type Tensor,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';

/** Kernel of the operation and kernel of its gradient; the latter takes dy and what tfjs saves of the former. */
const FUSED = [
  ['Relu', 'ReluGrad'],
  ['Sigmoid', 'SigmoidGrad'],
  ['Tanh', 'TanhGrad'],
  ['ClipByValue', 'ClipByValueGrad'],
] as const;

/** Registers the fused gradients. Calling it again changes nothing. */
export function registerGradients(): void {
  for (const [kernelName, gradientName] of FUSED) {
    const stock = getGradient(kernelName);
    const gradFunc: GradFunc = (dy, saved, attrs) => {
      if (getBackend() !== 'wasm') return stock.gradFunc(dy, saved, attrs);
      const inputs = { dy: dy as Tensor, x: saved[0] } as unknown as Record<string, TensorInfo>;
      return { x: () => engine().runKernel(gradientName, inputs as never, attrs) as Tensor };
    };
    registerGradient({ ...stock, gradFunc });
  }
}
