// Convolutions as matrix products over patches. Stock: no gradient of the filter at all, a naive one of the input,
// and a forward pass that keeps packed filters by id.
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { applyActivation, type FusedAttributes } from './activation.js';
import type { Heap } from './heap.js';
import { override } from './override.js';

export type ConvInfo = backend_util.Conv2DInfo;
export type Pad = Parameters<typeof backend_util.computeConv2DInfo>[4];
export type Rounding = 'floor' | 'round' | 'ceil';

interface ConvAttributes {
  strides: [number, number] | number;
  pad: Pad;
  dataFormat: 'NHWC' | 'NCHW';
  dimRoundingMode?: Rounding;
}

type Shape4D = [number, number, number, number];

interface Geometry extends Partial<Omit<ConvAttributes, 'strides' | 'pad'>> {
  strides: [number, number] | number;
  pad: Pad;
  /** tfjs-layers passes null for none. */
  dilations?: [number, number] | number | null;
  depthwise?: boolean;
}

/** Output size, padding and so on of a convolution. */
export function geometryOf(kernelName: string, input: number[], filter: number[], attrs: Geometry): ConvInfo {
  if (attrs.dataFormat === 'NCHW') {
    throw new Error(
      `${kernelName}: the wasm backend expects dataFormat NHWC, got NCHW; transpose the input first`,
    );
  }
  const { strides, pad, dimRoundingMode, depthwise = false } = attrs;
  const dilations = attrs.dilations ?? 1;
  const shapes = [input as Shape4D, filter as Shape4D] as const;
  return backend_util.computeConv2DInfo(...shapes, strides, dilations, pad, dimRoundingMode, depthwise);
}

/** Tells the kernels the geometry of the convolution that is to follow. */
function prepare(heap: Heap, info: ConvInfo): void {
  heap.reservePatches(4 * info.filterHeight * info.filterWidth * info.inChannels);
  heap.kernels.convShape(
    info.inHeight,
    info.inWidth,
    info.inChannels,
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

function convolve(
  heap: Heap,
  info: ConvInfo,
  x: TensorInfo,
  filter: TensorInfo,
  bias: TensorInfo | undefined,
  relu: boolean,
): TensorInfo {
  const out = heap.make(info.outShape);
  prepare(heap, info);
  heap.kernels.conv(
    heap.address(x),
    heap.address(filter),
    heap.address(out),
    info.batchSize,
    info.outChannels,
    bias ? heap.address(bias) : 0,
    relu,
  );
  return out;
}

interface ConvInputs {
  x: TensorInfo;
  filter: TensorInfo;
}

interface FusedConvInputs extends ConvInputs {
  bias?: TensorInfo;
  preluActivationWeights?: TensorInfo;
}

type Dilated = ConvAttributes & { dilations: [number, number] | number };

/** Registers Conv2D, FusedConv2D and the gradients of conv2d. */
export function overrideConvolution(): void {
  override<ConvInputs, Dilated>('Conv2D', ({ heap, inputs: { x, filter }, attrs }) => {
    const info = geometryOf('Conv2D', x.shape, filter.shape, attrs);
    return convolve(heap, info, x, filter, undefined, false);
  });

  override<FusedConvInputs, Dilated & FusedAttributes>('FusedConv2D', ({ heap, inputs, attrs }) => {
    const { x, filter, bias, preluActivationWeights } = inputs;
    const info = geometryOf('FusedConv2D', x.shape, filter.shape, attrs);
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== info.outChannels)) {
      throw new Error(`fused.conv2d: expected a bias of shape [${info.outChannels}], got [${bias.shape}]`);
    }
    const out = convolve(heap, info, x, filter, bias, attrs.activation === 'relu');
    return applyActivation(heap, out, attrs, preluActivationWeights);
  });

  override<{ x: TensorInfo; dy: TensorInfo }, ConvAttributes & { filterShape: number[] }>(
    'Conv2DBackpropFilter',
    ({ heap, inputs: { x, dy }, attrs }) => {
      const info = geometryOf('Conv2DBackpropFilter', x.shape, attrs.filterShape, attrs);
      const out = heap.make(info.filterShape);
      prepare(heap, info);
      const [from, by, to] = [x, dy, out].map((tensor) => heap.address(tensor));
      heap.kernels.convFilterGradient(from, by, to, info.batchSize, info.outChannels);
      return out;
    },
  );

  override<{ dy: TensorInfo; filter: TensorInfo }, ConvAttributes & { inputShape: number[] }>(
    'Conv2DBackpropInput',
    ({ heap, inputs: { dy, filter }, attrs }) => {
      const info = geometryOf('Conv2DBackpropInput', attrs.inputShape, filter.shape, attrs);
      const out = heap.make(info.inShape);
      prepare(heap, info);
      const [from, by, to] = [dy, filter, out].map((tensor) => heap.address(tensor));
      heap.kernels.convInputGradient(from, by, to, info.batchSize, info.outChannels);
      return out;
    },
  );
}
