// Max-pooling and its gradients, in two and three dimensions: one kernel, an image being a volume of depth 1.
// Stock gradients take the smallest positive float for the lowest number, and so lose gradients of windows whose
// maximum is not above zero.
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Heap } from './heap.js';
import { override } from './override.js';

type Pad = Parameters<typeof backend_util.computePool2DInfo>[4];

interface PoolAttributes {
  filterSize: number | [number, number];
  strides: number | [number, number];
  pad: Pad;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

interface Pool3DAttributes {
  filterSize: number | [number, number, number];
  strides: number | [number, number, number];
  pad: 'valid' | 'same' | number;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
  dataFormat?: 'NDHWC' | 'NCDHW';
}

type Shape4D = [number, number, number, number];
type Shape5D = [number, number, number, number, number];

function prepare(heap: Heap, x: TensorInfo, attrs: PoolAttributes): backend_util.Conv2DInfo {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const info = backend_util.computePool2DInfo(
    x.shape as Shape4D,
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  const { kernels } = heap;
  kernels.poolInput(1, info.inHeight, info.inWidth, info.inChannels);
  kernels.poolOutput(1, info.outHeight, info.outWidth);
  kernels.poolWindow(1, info.filterHeight, info.filterWidth);
  kernels.poolSteps(1, info.strideHeight, info.strideWidth, 1, info.dilationHeight, info.dilationWidth);
  kernels.poolPad(0, info.padInfo.top, info.padInfo.left);
  return info;
}

function prepare3D(heap: Heap, x: TensorInfo, attrs: Pool3DAttributes): backend_util.Conv3DInfo {
  const { filterSize, strides, pad, dimRoundingMode, dataFormat } = attrs;
  if (dataFormat === 'NCDHW') {
    throw new Error(
      'maxPool3d: the wasm backend expects dataFormat NDHWC, got NCDHW; transpose the input first',
    );
  }
  const info = backend_util.computePool3DInfo(
    x.shape as Shape5D,
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
    dataFormat,
  );
  const { kernels } = heap;
  kernels.poolInput(info.inDepth, info.inHeight, info.inWidth, info.inChannels);
  kernels.poolOutput(info.outDepth, info.outHeight, info.outWidth);
  kernels.poolWindow(info.filterDepth, info.filterHeight, info.filterWidth);
  kernels.poolSteps(
    info.strideDepth,
    info.strideHeight,
    info.strideWidth,
    info.dilationDepth,
    info.dilationHeight,
    info.dilationWidth,
  );
  // tfjs comes to a negative padding where the stride is larger than the window; TensorFlow has none there.
  const { front, top, left } = info.padInfo;
  kernels.poolPad(Math.max(0, front), Math.max(0, top), Math.max(0, left));
  return info;
}

function assertFloats(kernelName: string, x: TensorInfo): void {
  if (x.dtype !== 'float32') throw new Error(`${kernelName}: expected float32, got ${x.dtype}`);
}

function gradient(heap: Heap, x: TensorInfo, dy: TensorInfo): TensorInfo {
  const dx = heap.make(x.shape);
  heap.kernels.maxPoolGradient(heap.address(x), heap.address(dy), heap.address(dx), x.shape[0]);
  return dx;
}

function maxima(heap: Heap, x: TensorInfo, shape: number[]): TensorInfo {
  const out = heap.make(shape);
  heap.kernels.maxPool(heap.address(x), heap.address(out), x.shape[0]);
  return out;
}

/** Registers MaxPool, MaxPoolGrad, MaxPoolWithArgmax, MaxPool3D and MaxPool3DGrad. */
export function overridePool(): void {
  override<{ x: TensorInfo }, PoolAttributes>('MaxPool', ({ heap, inputs: { x }, attrs }) => {
    assertFloats('maxPool', x);
    return maxima(heap, x, prepare(heap, x, attrs).outShape);
  });

  override<{ dy: TensorInfo; input: TensorInfo }, PoolAttributes>(
    'MaxPoolGrad',
    ({ heap, inputs: { dy, input }, attrs }) => {
      prepare(heap, input, attrs);
      return gradient(heap, input, dy);
    },
  );

  override<{ x: TensorInfo }, PoolAttributes & { includeBatchInIndex: boolean }>(
    'MaxPoolWithArgmax',
    ({ heap, inputs: { x }, attrs }) => {
      assertFloats('maxPoolWithArgmax', x);
      const { outShape } = prepare(heap, x, attrs);
      const values = maxima(heap, x, outShape);
      const positions = heap.make(outShape, 'int32');
      const [from, to] = [heap.address(x), heap.address(positions)];
      heap.kernels.maxPoolPositions(from, to, x.shape[0], attrs.includeBatchInIndex);
      return [values, positions];
    },
  );

  override<{ x: TensorInfo }, Pool3DAttributes>('MaxPool3D', ({ heap, inputs: { x }, attrs }) => {
    assertFloats('maxPool3d', x);
    return maxima(heap, x, prepare3D(heap, x, attrs).outShape);
  });

  override<{ dy: TensorInfo; input: TensorInfo }, Pool3DAttributes>(
    'MaxPool3DGrad',
    ({ heap, inputs: { dy, input }, attrs }) => {
      prepare3D(heap, input, attrs);
      return gradient(heap, input, dy);
    },
  );
}
