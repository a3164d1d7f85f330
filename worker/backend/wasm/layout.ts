// Slicing, splitting, stacking and concatenating: copies of rectangles on the heap. The stock Slice (and with it
// SplitV and Unpack) first copies the whole tensor out of the heap, so that a recurrent layer, which takes its input
// apart step by step, spends most of its time there.
import { slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { Heap } from './heap.js';
import { override } from './override.js';

/** A tensor as the copies see it: `outer` rows of `length` entries of `entryBytes` along one axis. */
function along(x: TensorInfo, axis: number): { outer: number; length: number; entryBytes: number } {
  const inner = util.sizeFromShape(x.shape.slice(axis + 1));
  return {
    outer: util.sizeFromShape(x.shape.slice(0, axis)),
    length: x.shape[axis],
    entryBytes: inner * util.bytesPerElement(x.dtype),
  };
}

/** Entries [begin, begin + size) of one axis, under the given shape. */
function cut(
  heap: Heap,
  x: TensorInfo,
  axis: number,
  begin: number,
  size: number,
  shape: number[],
): TensorInfo {
  const { outer, length, entryBytes } = along(x, axis);
  const out = heap.make(shape, x.dtype);
  const bytes = size * entryBytes;
  const from = heap.address(x) + begin * entryBytes;
  heap.kernels.copyRows(from, length * entryBytes, heap.address(out), bytes, outer, bytes);
  return out;
}

/** Tensors side by side along one axis, under the given shape; each has its own number of entries. */
function join(
  heap: Heap,
  parts: TensorInfo[],
  entries: number[],
  outer: number,
  shape: number[],
): TensorInfo {
  const out = heap.make(shape, parts[0].dtype);
  const rowBytes = (util.sizeFromShape(shape) / outer) * util.bytesPerElement(out.dtype);
  let to = heap.address(out);
  for (const [i, part] of parts.entries()) {
    const bytes = entries[i];
    heap.kernels.copyRows(heap.address(part), bytes, to, rowBytes, outer, bytes);
    to += bytes;
  }
  return out;
}

/** A slice that cuts several axes: one row of copies for each index of all cut axes but the last. */
function cutMany(heap: Heap, x: TensorInfo, begin: number[], size: number[], last: number): TensorInfo {
  const out = heap.make(size, x.dtype);
  const bytesPerElement = util.bytesPerElement(x.dtype);
  const strides = [...util.computeStrides(x.shape), 1];
  const entryBytes = strides[last] * bytesPerElement;
  const bytes = size[last] * entryBytes;
  const before = size.slice(0, last);
  // All axes before the last cut one but their innermost are walked here; that one is the kernel's rows.
  const rows = before.at(-1) ?? 1;
  const walked = before.slice(0, -1);
  const rowStep = last > 0 ? strides[last - 1] * bytesPerElement : 0;
  const start = heap.address(x) + begin.reduce((sum, at, d) => sum + at * strides[d], 0) * bytesPerElement;
  const to = heap.address(out);
  const index = walked.map(() => 0);
  for (let i = 0; i < util.sizeFromShape(walked); i++) {
    const from = start + index.reduce((sum, at, d) => sum + at * strides[d], 0) * bytesPerElement;
    heap.kernels.copyRows(from, rowStep, to + i * rows * bytes, bytes, rows, bytes);
    for (let d = walked.length - 1; d >= 0; d--) {
      index[d]++;
      if (index[d] < walked[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

function slice(heap: Heap, x: TensorInfo, begin: number[], size: number[]): TensorInfo {
  const cutAxes = size.flatMap((length, axis) => (length === x.shape[axis] ? [] : [axis]));
  if (cutAxes.length === 0) return heap.share(x);
  if (util.sizeFromShape(size) === 0) return heap.make(size, x.dtype);
  const [axis] = cutAxes;
  if (cutAxes.length === 1) return cut(heap, x, axis, begin[axis], size[axis], size);
  return cutMany(heap, x, begin, size, cutAxes[cutAxes.length - 1]);
}

function replaced(shape: number[], axis: number, length: number): number[] {
  return [...shape.slice(0, axis), length, ...shape.slice(axis + 1)];
}

/** Registers Slice, SplitV, Unpack, Pack and Concat. */
export function overrideLayout(): void {
  override<{ x: TensorInfo }, { begin: number | number[]; size: number | number[] }>(
    'Slice',
    ({ heap, inputs: { x }, attrs, stock }) => {
      if (x.dtype === 'string') return stock();
      const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size);
      slice_util.assertParamsValid(x as never, begin, size);
      return slice(heap, x, begin, size);
    },
  );

  override<{ x: TensorInfo }, { numOrSizeSplits: number | number[]; axis: number }>(
    'SplitV',
    ({ heap, inputs: { x }, attrs, stock }) => {
      if (x.dtype === 'string') return stock();
      const [axis] = util.parseAxisParam(attrs.axis, x.shape);
      const given = attrs.numOrSizeSplits;
      const sizes =
        typeof given === 'number' ? new Array<number>(given).fill(x.shape[axis] / given) : [...given];
      const open = sizes.indexOf(-1);
      if (open >= 0) sizes[open] = x.shape[axis] - sizes.reduce((sum, size) => sum + size, 1);
      let begin = 0;
      return sizes.map((size) => {
        const part = cut(heap, x, axis, begin, size, replaced(x.shape, axis, size));
        begin += size;
        return part;
      });
    },
  );

  override<{ value: TensorInfo }, { axis: number }>('Unpack', ({ heap, inputs: { value }, attrs, stock }) => {
    if (value.dtype === 'string') return stock();
    const [axis] = util.parseAxisParam(attrs.axis, value.shape);
    const shape = value.shape.filter((_, d) => d !== axis);
    return Array.from({ length: value.shape[axis] }, (_, i) => cut(heap, value, axis, i, 1, shape));
  });

  override<TensorInfo[], { axis: number }>('Pack', ({ heap, inputs, attrs, stock }) => {
    const [first] = inputs;
    const uniform = inputs.every((x) => x.dtype === first.dtype && util.arraysEqual(x.shape, first.shape));
    if (first.dtype === 'string' || !uniform) return stock();
    const axis = attrs.axis < 0 ? attrs.axis + first.shape.length + 1 : attrs.axis;
    const outer = util.sizeFromShape(first.shape.slice(0, axis));
    const bytes = (util.sizeFromShape(first.shape) / Math.max(1, outer)) * util.bytesPerElement(first.dtype);
    const shape = [...first.shape.slice(0, axis), inputs.length, ...first.shape.slice(axis)];
    if (util.sizeFromShape(shape) === 0) return heap.make(shape, first.dtype);
    const entries = inputs.map(() => bytes);
    return join(heap, inputs, entries, outer, shape);
  });

  override<TensorInfo[], { axis: number }>('Concat', ({ heap, inputs, attrs, stock }) => {
    const [axis] = util.parseAxisParam(attrs.axis, inputs[0].shape);
    const parts = inputs.filter((x) => util.sizeFromShape(x.shape) > 0);
    const [first] = parts;
    const fits = (x: TensorInfo) =>
      x.dtype === first.dtype &&
      x.shape.length === first.shape.length &&
      x.shape.every((length, d) => d === axis || length === first.shape[d]);
    if (parts.length < 2 || first.dtype === 'string' || !parts.every(fits)) return stock();
    const length = parts.reduce((sum, x) => sum + x.shape[axis], 0);
    const { outer } = along(first, axis);
    const entries = parts.map((x) => along(x, axis).entryBytes * x.shape[axis]);
    return join(heap, parts, entries, outer, replaced(first.shape, axis, length));
  });
}
