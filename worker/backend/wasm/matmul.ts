// Matrix products. The stock kernel reaches its fast path only without transposes and batches, caches the packed
// second operand by id whatever its shape is since (wrong after a reshape), and its fused form applies bias and
// activation once per 48 inner elements. Ours has one path for all, and keeps nothing between calls.
import { backend_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { applyActivation, type FusedAttributes } from './activation.js';
import type { Heap } from './heap.js';
import { override } from './override.js';

interface MatMulInputs {
  a: TensorInfo;
  b: TensorInfo;
}

interface MatMulAttributes {
  transposeA: boolean;
  transposeB: boolean;
}

interface FusedMatMulInputs extends MatMulInputs {
  bias?: TensorInfo;
  preluActivationWeights?: TensorInfo;
}

interface Product {
  shape: number[];
  /** The leading dimensions of the result. */
  batchShape: number[];
  batch: number;
  m: number;
  n: number;
  k: number;
  /** Leading dimensions of the operands, aligned with those of the result. */
  batchA: number[];
  batchB: number[];
}

/** Shapes of a product of stacks of matrices, [..., m, k] x [..., k, n], whose leading dimensions broadcast. */
function productOf(a: TensorInfo, b: TensorInfo, attrs: MatMulAttributes): Product {
  const { transposeA, transposeB } = attrs;
  const [aRows, aColumns] = a.shape.slice(-2);
  const [bRows, bColumns] = b.shape.slice(-2);
  const m = transposeA ? aColumns : aRows;
  const k = transposeA ? aRows : aColumns;
  const n = transposeB ? bRows : bColumns;
  if (k !== (transposeB ? bColumns : bRows)) {
    throw new Error(
      `matMul: the inner dimensions of [${a.shape}] and [${b.shape}] differ ` +
        `(transposeA=${transposeA}, transposeB=${transposeB})`,
    );
  }
  const batchShape = backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const align = (shape: number[]) => [
    ...new Array<number>(batchShape.length + 2 - shape.length).fill(1),
    ...shape.slice(0, -2),
  ];
  return {
    shape: [...batchShape, m, n],
    batchShape,
    batch: util.sizeFromShape(batchShape),
    m,
    n,
    k,
    batchA: align(a.shape),
    batchB: align(b.shape),
  };
}

/** Which matrix of an operand belongs to matrix `index` of the result. */
function matrixIndex(index: number, batchShape: number[], operandShape: number[]): number {
  let rest = index;
  let at = 0;
  let stride = 1;
  for (let d = batchShape.length - 1; d >= 0; d--) {
    const coordinate = rest % batchShape[d];
    rest = (rest - coordinate) / batchShape[d];
    if (operandShape[d] !== 1) at += coordinate * stride;
    stride *= operandShape[d];
  }
  return at;
}

/** Elements between an operand's matrices: 0 if there is one for all, undefined if they broadcast otherwise. */
function matrixStride(product: Product, operandShape: number[], elements: number): number | undefined {
  const matrices = util.sizeFromShape(operandShape);
  if (matrices === product.batch) return elements;
  return matrices === 1 ? 0 : undefined;
}

function multiplyFloats(heap: Heap, a: TensorInfo, b: TensorInfo, attrs: MatMulAttributes): TensorInfo {
  const product = productOf(a, b, attrs);
  const { batch, m, n, k } = product;
  const out = heap.make(product.shape);
  if (batch * m * n === 0) return out;
  const { transposeA, transposeB } = attrs;
  const from = heap.address(a);
  const by = heap.address(b);
  const to = heap.address(out);
  const aStride = matrixStride(product, product.batchA, m * k);
  const bStride = matrixStride(product, product.batchB, k * n);
  if (bStride === 0 && aStride !== undefined && !transposeA) {
    // One matrix on the right for the whole stack: the stack is a taller matrix.
    heap.kernels.gemm(from, by, to, batch * m, n, k, false, transposeB, false, 0, false);
  } else if (aStride !== undefined && bStride !== undefined) {
    heap.kernels.gemmBatch(batch, from, aStride, by, bStride, to, m, n, k, transposeA, transposeB);
  } else {
    for (let i = 0; i < batch; i++) {
      const ai = from + 4 * m * k * matrixIndex(i, product.batchShape, product.batchA);
      const bi = by + 4 * k * n * matrixIndex(i, product.batchShape, product.batchB);
      heap.kernels.gemm(ai, bi, to + 4 * m * n * i, m, n, k, transposeA, transposeB, false, 0, false);
    }
  }
  return out;
}

/** int32 products wrap around at 32 bits, as in TensorFlow. */
function multiplyIntegers(heap: Heap, a: TensorInfo, b: TensorInfo, attrs: MatMulAttributes): TensorInfo {
  const product = productOf(a, b, attrs);
  const { m, n, k } = product;
  const out = heap.make(product.shape, 'int32');
  const [x, y, z] = [a, b, out].map((info) => heap.integers(info));
  const aRow = attrs.transposeA ? 1 : k;
  const aStep = attrs.transposeA ? m : 1;
  const bStep = attrs.transposeB ? 1 : n;
  const bColumn = attrs.transposeB ? k : 1;
  z.fill(0);
  for (let batch = 0; batch < product.batch; batch++) {
    const a0 = m * k * matrixIndex(batch, product.batchShape, product.batchA);
    const b0 = k * n * matrixIndex(batch, product.batchShape, product.batchB);
    for (let i = 0; i < m; i++) {
      const row = (batch * m + i) * n;
      for (let p = 0; p < k; p++) {
        const factor = x[a0 + i * aRow + p * aStep];
        const from = b0 + p * bStep;
        for (let j = 0; j < n; j++) z[row + j] += Math.imul(factor, y[from + j * bColumn]);
      }
    }
  }
  return out;
}

function fused(heap: Heap, inputs: FusedMatMulInputs, attrs: MatMulAttributes & FusedAttributes): TensorInfo {
  const { a, b, bias } = inputs;
  const { batch, m, n, k, shape, batchA, batchB } = productOf(a, b, attrs);
  const biasIsRow = bias === undefined || (util.sizeFromShape(bias.shape) === n && bias.shape.at(-1) === n);
  if (!biasIsRow) {
    throw new Error(`fused.matMul: expected a bias of ${n} elements, got shape [${bias?.shape}]`);
  }
  const out = heap.make(shape);
  if (batch * m * n > 0) {
    const aStride = util.sizeFromShape(batchA) === 1 ? 0 : m * k;
    const bStride = util.sizeFromShape(batchB) === 1 ? 0 : k * n;
    const biasAt = bias ? heap.address(bias) : 0;
    const relu = attrs.activation === 'relu';
    for (let i = 0; i < batch; i++) {
      heap.kernels.gemm(
        heap.address(a) + 4 * i * aStride,
        heap.address(b) + 4 * i * bStride,
        heap.address(out) + 4 * i * m * n,
        m,
        n,
        k,
        attrs.transposeA,
        attrs.transposeB,
        false,
        biasAt,
        relu,
      );
    }
  }
  return applyActivation(heap, out, attrs, inputs.preluActivationWeights);
}

/** Registers BatchMatMul and _FusedMatMul. */
export function overrideMatMul(): void {
  override<MatMulInputs, MatMulAttributes>('BatchMatMul', ({ heap, inputs: { a, b }, attrs }) => {
    if (a.dtype === 'float32' && b.dtype === 'float32') return multiplyFloats(heap, a, b, attrs);
    if (a.dtype === 'int32' && b.dtype === 'int32') return multiplyIntegers(heap, a, b, attrs);
    throw new Error(`matMul: expected two float32 or two int32 tensors, got ${a.dtype} and ${b.dtype}`);
  });
  override<FusedMatMulInputs, MatMulAttributes & FusedAttributes>(
    '_FusedMatMul',
    ({ heap, inputs, attrs }) => {
      if (inputs.a.dtype !== 'float32' || inputs.b.dtype !== 'float32') {
        throw new Error(`fused.matMul: expected float32, got ${inputs.a.dtype} and ${inputs.b.dtype}`);
      }
      return fused(heap, inputs, attrs);
    },
  );
}
