// The activation at the end of a fused kernel (fused.matMul, fused.conv2d). Relu is done by the product's own
// kernel while the result is in registers; the others are the stock kernels, run on the result.
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { Heap } from './heap.js';

export interface FusedAttributes {
  activation: string;
  leakyreluAlpha?: number;
}

/** Kernel and attributes of each activation that is not done in the product itself. */
const KERNELS: Record<string, (attrs: FusedAttributes) => [string, Record<string, unknown>]> = {
  relu6: () => ['Relu6', {}],
  elu: () => ['Elu', {}],
  sigmoid: () => ['Sigmoid', {}],
  leakyrelu: (attrs) => ['LeakyRelu', { alpha: attrs.leakyreluAlpha ?? 0.2 }],
};

/**
 * @param out what the activation is applied to (relu: already); it is released, unless it is returned
 * @param alpha the slopes of prelu
 */
export function applyActivation(
  heap: Heap,
  out: TensorInfo,
  attrs: FusedAttributes,
  alpha: TensorInfo | undefined,
): TensorInfo {
  const { activation } = attrs;
  if (activation === 'linear' || activation === 'relu') return out;
  let result: TensorInfo;
  if (activation === 'prelu' && alpha) {
    result = heap.run('Prelu', { x: out, alpha });
  } else if (Object.hasOwn(KERNELS, activation)) {
    const [kernel, kernelAttrs] = KERNELS[activation](attrs);
    result = heap.run(kernel, { x: out }, kernelAttrs);
  } else {
    throw new Error(`the wasm backend has no fused activation ${activation}`);
  }
  return heap.replace(out, result);
}
