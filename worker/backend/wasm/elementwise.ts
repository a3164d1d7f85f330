// Operations element by element, their sums, and what should cost nothing. Stock binary kernels walk broadcast
// operands index by index, sums over leading axes transpose first, and Identity and Cast copy: tfjs clones every
// tensor that it saves for the backward pass, so that each step copied the weights and all activations.
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { override } from './override.js';

const OPERATIONS = { Add: 0, Sub: 1, Multiply: 2, RealDiv: 3 } as const;

/** How an operand goes along the rows of the result: [step from row to row, whether it has one element a row]. */
interface Plan {
  rows: number;
  columns: number;
  a: [number, boolean];
  b: [number, boolean];
}

/** Drops leading ones, which broadcasting ignores. */
function trimmed(shape: number[]): number[] {
  let first = 0;
  while (first < shape.length && shape[first] === 1) first++;
  return shape.slice(first);
}

/** Leading dimensions in which two shapes of equal rank agree. */
function commonLength(a: number[], b: number[]): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Plans a op b where b is the smaller one, repeated over a's rows or along them. */
function planSmaller(
  full: number[],
  small: number[],
): [rows: number, columns: number, step: number, one: boolean] | undefined {
  const size = util.sizeFromShape(full);
  const smallSize = util.sizeFromShape(small);
  if (smallSize === 1) return [1, size, 0, true];
  const suffix = trimmed(small);
  if (suffix.every((dimension, i) => dimension === full[full.length - suffix.length + i])) {
    return [size / smallSize, smallSize, 0, false];
  }
  if (small.length === full.length) {
    const same = commonLength(full, small);
    if (small.slice(same).every((dimension) => dimension === 1))
      return [smallSize, size / smallSize, 1, true];
  }
  return undefined;
}

function planOf(a: TensorInfo, b: TensorInfo, shape: number[]): Plan | undefined {
  const size = util.sizeFromShape(shape);
  const aSize = util.sizeFromShape(a.shape);
  const bSize = util.sizeFromShape(b.shape);
  if (aSize === size && bSize === size) return { rows: 1, columns: size, a: [0, false], b: [0, false] };
  if (aSize === size) {
    const plan = planSmaller(shape, b.shape);
    return plan && { rows: plan[0], columns: plan[1], a: [plan[1], false], b: [plan[2], plan[3]] };
  }
  if (bSize === size) {
    const plan = planSmaller(shape, a.shape);
    return plan && { rows: plan[0], columns: plan[1], a: [plan[2], plan[3]], b: [plan[1], false] };
  }
  return undefined;
}

/** Registers Add, Sub, Multiply, RealDiv and Relu. */
export function overrideElementwise(): void {
  for (const [kernelName, operation] of Object.entries(OPERATIONS)) {
    override<{ a: TensorInfo; b: TensorInfo }>(kernelName, ({ heap, inputs: { a, b }, stock }) => {
      if (a.dtype !== 'float32' || b.dtype !== 'float32') return stock();
      const shape = backend_util.assertAndGetBroadcastShape(a.shape, b.shape);
      const plan = planOf(a, b, shape);
      if (!plan) return stock();
      const out = heap.make(shape);
      const [left, right, to] = [heap.address(a), heap.address(b), heap.address(out)];
      heap.kernels.binary(operation, left, ...plan.a, right, ...plan.b, to, plan.rows, plan.columns);
      return out;
    });
  }

  override<{ x: TensorInfo }>('Relu', ({ heap, inputs: { x }, stock }) => {
    if (x.dtype !== 'float32') return stock();
    const out = heap.make(x.shape);
    heap.kernels.relu(heap.address(x), heap.address(out), util.sizeFromShape(x.shape));
    return out;
  });
}

/** Registers the kernels of gradients.ts: ReluGrad, SigmoidGrad, TanhGrad and ClipByValueGrad. */
export function addGradientKernels(): void {
  const kernels = {
    ReluGrad: 'reluGradient',
    SigmoidGrad: 'sigmoidGradient',
    TanhGrad: 'tanhGradient',
  } as const;
  for (const [kernelName, run] of Object.entries(kernels)) {
    override<{ dy: TensorInfo; x: TensorInfo }>(kernelName, ({ heap, inputs: { dy, x } }) => {
      const out = heap.make(x.shape);
      const [from, by, to] = [heap.address(dy), heap.address(x), heap.address(out)];
      heap.kernels[run](from, by, to, util.sizeFromShape(x.shape));
      return out;
    });
  }

  interface Bounds {
    clipValueMin: number;
    clipValueMax: number;
  }
  override<{ dy: TensorInfo; x: TensorInfo }, Bounds>(
    'ClipByValueGrad',
    ({ heap, inputs: { dy, x }, attrs }) => {
      const out = heap.make(x.shape);
      const [from, by, to] = [heap.address(dy), heap.address(x), heap.address(out)];
      const size = util.sizeFromShape(x.shape);
      heap.kernels.clipGradient(from, by, to, size, attrs.clipValueMin, attrs.clipValueMax);
      return out;
    },
  );
}

/** Registers Sum (over leading axes) and UnsortedSegmentSum, which the stock backend lacks. */
export function overrideSums(): void {
  override<{ x: TensorInfo }, { axis: number | number[]; keepDims: boolean }>(
    'Sum',
    ({ heap, inputs: { x }, attrs, stock }) => {
      const axes = util.parseAxisParam(attrs.axis, x.shape);
      const kept = x.shape.slice(axes.length);
      const leading = axes.length > 0 && [...axes].sort((i, j) => i - j).every((axis, i) => axis === i);
      const columns = util.sizeFromShape(kept);
      if (x.dtype !== 'float32' || !leading || columns === 0) return stock();
      const out = heap.make(attrs.keepDims ? [...axes.map(() => 1), ...kept] : kept);
      const rows = util.sizeFromShape(x.shape) / columns;
      heap.kernels.columnSum(heap.address(x), heap.address(out), rows, columns);
      return out;
    },
  );

  override<{ x: TensorInfo; segmentIds: TensorInfo }, { numSegments: number }>(
    'UnsortedSegmentSum',
    ({ heap, inputs: { x, segmentIds }, attrs: { numSegments } }) => {
      if (x.dtype !== 'float32') throw new Error(`unsortedSegmentSum: expected float32, got ${x.dtype}`);
      const rowShape = x.shape.slice(segmentIds.shape.length);
      const rows = util.sizeFromShape(segmentIds.shape);
      const out = heap.make([numSegments, ...rowShape]);
      const [from, ids, to] = [heap.address(x), heap.address(segmentIds), heap.address(out)];
      heap.kernels.segmentSum(from, ids, to, rows, util.sizeFromShape(rowShape), numSegments);
      return out;
    },
  );
}

/** Registers Identity and Cast so that they share the data where nothing changes. */
export function overrideCopies(): void {
  override<{ x: TensorInfo }>('Identity', ({ heap, inputs: { x }, stock }) =>
    x.dtype === 'string' ? stock() : heap.share(x),
  );
  override<{ x: TensorInfo }, { dtype: string }>('Cast', ({ heap, inputs: { x }, attrs, stock }) =>
    x.dtype === attrs.dtype && x.dtype !== 'string' ? heap.share(x) : stock(),
  );
}
