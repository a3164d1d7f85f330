// Independent references for the kernels: plain float64 loops, and finite differences of them as gradients.
import { cast, type DataType, type Tensor, tensor } from '@tensorflow/tfjs-core';
import type { ExecutionContext } from 'ava';
import { keyedRandom } from '../../../../shared/random.js';

export interface Array64 {
  shape: number[];
  values: Float64Array;
}

export const sizeOf = (shape: number[]): number => shape.reduce((size, length) => size * length, 1);

/** Numbers in [-1, 1) that fp32 holds exactly, the same for the same key; all different by at least 2^-16. */
export function randomArray(shape: number[], ...key: (string | number)[]): Array64 {
  const random = keyedRandom(7, ...key);
  const size = sizeOf(shape);
  const order = Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const step = 2 / Math.max(size, 16);
  return { shape, values: Float64Array.from(order, (place) => Math.fround(place * step - 1)) };
}

export function toTensor({ shape, values }: Array64, dtype: DataType = 'float32'): Tensor {
  return cast(tensor(Float32Array.from(values), shape, 'float32'), dtype);
}

/** Gradient of sum(f(x) * weights) with respect to one of the arrays that f reads, by central differences. */
export function finiteDifferences(
  f: () => Array64,
  of: Array64,
  weights: Array64,
  step = 1e-6,
): Float64Array {
  const loss = () => f().values.reduce((sum, value, i) => sum + value * weights.values[i], 0);
  return of.values.map((value, i) => {
    of.values[i] = value + step;
    const above = loss();
    of.values[i] = value - step;
    const below = loss();
    of.values[i] = value;
    return (above - below) / (2 * step);
  });
}

/** Asserts that a tensor holds the expected numbers, within `tolerance` of the largest of them. */
export function near(
  t: ExecutionContext<unknown>,
  result: Tensor,
  expected: ArrayLike<number>,
  what: string,
  tolerance = 2e-6,
): void {
  const values = result.dataSync();
  t.is(values.length, expected.length, `${what}: number of elements`);
  let scale = 1e-30;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(values[i] - expected[i]) <= tolerance * scale)) {
      t.fail(`${what}: element ${i} is ${values[i]}, expected ${expected[i]}`);
      return;
    }
  }
  t.pass();
}

/** Product of two stacks of matrices, with broadcast leading dimensions of equal rank. */
export function matMul64(a: Array64, b: Array64, transposeA: boolean, transposeB: boolean): Array64 {
  const [m, k] = transposeA ? a.shape.slice(-2).reverse() : a.shape.slice(-2);
  const n = transposeB ? b.shape[b.shape.length - 2] : b.shape[b.shape.length - 1];
  const lead = a.shape.slice(0, -2).map((length, d) => Math.max(length, b.shape[d]));
  const values = new Float64Array(sizeOf(lead) * m * n);
  const strideOf = (x: Array64) =>
    x.shape.slice(0, -2).map((length, d) => (length === 1 ? 0 : sizeOf(x.shape.slice(d + 1))));
  const [aStrides, bStrides] = [strideOf(a), strideOf(b)];
  for (let batch = 0; batch < sizeOf(lead); batch++) {
    let rest = batch;
    let a0 = 0;
    let b0 = 0;
    for (let d = lead.length - 1; d >= 0; d--) {
      a0 += (rest % lead[d]) * aStrides[d];
      b0 += (rest % lead[d]) * bStrides[d];
      rest = Math.floor(rest / lead[d]);
    }
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          const left = a.values[a0 + (transposeA ? p * m + i : i * k + p)];
          sum += left * b.values[b0 + (transposeB ? j * k + p : p * n + j)];
        }
        values[(batch * m + i) * n + j] = sum;
      }
    }
  }
  return { shape: [...lead, m, n], values };
}

export interface Window {
  filter: [number, number];
  strides: [number, number];
  pad: 'same' | 'valid';
  dilations?: [number, number];
}

/** Output size and padding before the first element, along one axis (as TensorFlow defines them). */
function axisOf(
  length: number,
  filter: number,
  stride: number,
  dilation: number,
  pad: string,
): [number, number] {
  const reach = (filter - 1) * dilation + 1;
  if (pad === 'valid') return [Math.ceil((length - reach + 1) / stride), 0];
  const out = Math.ceil(length / stride);
  return [out, Math.floor(Math.max(0, (out - 1) * stride + reach - length) / 2)];
}

type Tap = (output: number[], input: number[], tap: number[]) => void;

/** Visits every (output pixel, input pixel, filter tap) of a window over [batch, height, width] with TensorFlow's rules. */
export function visitWindow(shape: number[], window: Window, visit: Tap): number[] {
  const [batch, height, width] = shape;
  const [dy, dx] = window.dilations ?? [1, 1];
  const [outHeight, top] = axisOf(height, window.filter[0], window.strides[0], dy, window.pad);
  const [outWidth, left] = axisOf(width, window.filter[1], window.strides[1], dx, window.pad);
  for (let b = 0; b < batch; b++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let fy = 0; fy < window.filter[0]; fy++) {
          for (let fx = 0; fx < window.filter[1]; fx++) {
            const y = oy * window.strides[0] - top + fy * dy;
            const x = ox * window.strides[1] - left + fx * dx;
            if (y >= 0 && y < height && x >= 0 && x < width) visit([b, oy, ox], [b, y, x], [fy, fx]);
          }
        }
      }
    }
  }
  return [batch, outHeight, outWidth];
}

const at = (index: number[], shape: number[]): number => index.reduce((sum, i, d) => sum * shape[d] + i, 0);

/** conv2d; filter height x width x in x out, or depthwise: height x width x channels x multiplier. */
export function conv64(x: Array64, filter: Array64, window: Window, depthwise: boolean): Array64 {
  const [inChannels, last] = filter.shape.slice(2);
  const outChannels = depthwise ? inChannels * last : last;
  const outShape = [...visitWindow(x.shape, window, () => undefined), outChannels];
  const values = new Float64Array(sizeOf(outShape));
  visitWindow(x.shape, window, (output, input, tap) => {
    for (let c = 0; c < inChannels; c++) {
      const value = x.values[at([...input, c], x.shape)];
      for (let m = 0; m < last; m++) {
        const to = depthwise ? c * last + m : m;
        values[at([...output, to], outShape)] += value * filter.values[at([...tap, c, m], filter.shape)];
      }
    }
  });
  return { shape: outShape, values };
}

/** Max-pooling. */
export function maxPool64(x: Array64, window: Window): Array64 {
  const channels = x.shape[3];
  const outShape = [...visitWindow(x.shape, window, () => undefined), channels];
  const values = new Float64Array(sizeOf(outShape)).fill(Number.NEGATIVE_INFINITY);
  visitWindow(x.shape, window, (output, input) => {
    for (let c = 0; c < channels; c++) {
      const to = at([...output, c], outShape);
      values[to] = Math.max(values[to], x.values[at([...input, c], x.shape)]);
    }
  });
  return { shape: outShape, values };
}

/** Grayscale dilation; filter height x width x channels. */
export function dilation64(x: Array64, filter: Array64, window: Window): Array64 {
  const channels = x.shape[3];
  const outShape = [...visitWindow(x.shape, window, () => undefined), channels];
  const values = new Float64Array(sizeOf(outShape)).fill(Number.NEGATIVE_INFINITY);
  visitWindow(x.shape, window, (output, input, tap) => {
    for (let c = 0; c < channels; c++) {
      const to = at([...output, c], outShape);
      const sum = x.values[at([...input, c], x.shape)] + filter.values[at([...tap, c], filter.shape)];
      values[to] = Math.max(values[to], sum);
    }
  });
  return { shape: outShape, values };
}
