// Depthwise convolution. Stock: no gradients, and a forward pass that leaves its output unset, in silence, where
// padding is `same` and the stride is larger than the filter. Ours are loops over pixels and filter taps.
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { applyActivation, type FusedAttributes } from './activation.js';
import { type ConvInfo, geometryOf, type Pad, type Rounding } from './convolution.js';
import type { Heap } from './heap.js';
import { override } from './override.js';

interface DepthwiseAttributes {
  strides: [number, number] | number;
  pad: Pad;
  dilations: [number, number] | number;
  dimRoundingMode?: Rounding;
}

function prepare(heap: Heap, info: ConvInfo): void {
  heap.kernels.depthwiseShape(
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outChannels / info.inChannels,
    info.outHeight,
    info.outWidth,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.dilationHeight,
    info.dilationWidth,
    info.padInfo.top,
    info.padInfo.left,
  );
}

/** Whether the stock forward pass leaves this one out. */
function isLeftOut(info: ConvInfo): boolean {
  return info.strideHeight > info.filterHeight || info.strideWidth > info.filterWidth;
}

function forward(heap: Heap, info: ConvInfo, x: TensorInfo, filter: TensorInfo): TensorInfo {
  const out = heap.make(info.outShape);
  prepare(heap, info);
  const [from, by, to] = [x, filter, out].map((tensor) => heap.address(tensor));
  heap.kernels.depthwise(from, by, to, info.batchSize);
  return out;
}

interface DepthwiseInputs {
  x: TensorInfo;
  filter: TensorInfo;
}

interface FusedDepthwiseInputs extends DepthwiseInputs {
  bias?: TensorInfo;
  preluActivationWeights?: TensorInfo;
}

function overrideForward(): void {
  override<DepthwiseInputs, DepthwiseAttributes>(
    'DepthwiseConv2dNative',
    ({ heap, inputs, attrs, stock }) => {
      const { x, filter } = inputs;
      const info = geometryOf('depthwiseConv2d', x.shape, filter.shape, { ...attrs, depthwise: true });
      return isLeftOut(info) ? forward(heap, info, x, filter) : stock();
    },
  );

  override<FusedDepthwiseInputs, DepthwiseAttributes & FusedAttributes>(
    'FusedDepthwiseConv2D',
    ({ heap, inputs, attrs, stock }) => {
      const { x, filter, bias, preluActivationWeights } = inputs;
      const info = geometryOf('fused.depthwiseConv2d', x.shape, filter.shape, { ...attrs, depthwise: true });
      if (!isLeftOut(info)) return stock();
      let out = forward(heap, info, x, filter);
      if (bias) out = heap.replace(out, heap.run('Add', { a: out, b: bias }));
      if (attrs.activation === 'relu') return heap.replace(out, heap.run('Relu', { x: out }));
      return applyActivation(heap, out, attrs, preluActivationWeights);
    },
  );
}

/** Registers the depthwise convolution, where the stock one leaves it out, and its two gradients. */
export function overrideDepthwise(): void {
  overrideForward();

  override<{ x: TensorInfo; dy: TensorInfo }, DepthwiseAttributes & { filterShape: number[] }>(
    'DepthwiseConv2dNativeBackpropFilter',
    ({ heap, inputs: { x, dy }, attrs }) => {
      const info = geometryOf('depthwise', x.shape, attrs.filterShape, { ...attrs, depthwise: true });
      const out = heap.make(info.filterShape);
      prepare(heap, info);
      const [from, by, to] = [x, dy, out].map((tensor) => heap.address(tensor));
      heap.kernels.depthwiseFilterGradient(from, by, to, info.batchSize);
      return out;
    },
  );

  override<{ dy: TensorInfo; filter: TensorInfo }, DepthwiseAttributes & { inputShape: number[] }>(
    'DepthwiseConv2dNativeBackpropInput',
    ({ heap, inputs: { dy, filter }, attrs }) => {
      const info = geometryOf('depthwise', attrs.inputShape, filter.shape, { ...attrs, depthwise: true });
      const out = heap.make(info.inShape);
      prepare(heap, info);
      const [from, by, to] = [dy, filter, out].map((tensor) => heap.address(tensor));
      heap.kernels.depthwiseInputGradient(from, by, to, info.batchSize);
      return out;
    },
  );
}
