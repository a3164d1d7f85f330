// Matrix multiplication over the heap of the tfjs wasm backend: C = op(A) op(B), with bias and relu on the way out.
// The layout of the loops is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication",
// TOMS 2008: B is packed in panels of 8 columns, A in panels of 6 rows, and the inner kernel keeps 6x8 sums in
// registers. Transposes cost nothing extra: they are undone while packing.
// Every sum is taken in one fixed order, so that a result has the same bits on every machine.

const MR: i32 = 6;
const NR: i32 = 8;
const KC: i32 = 256;
const MC: i32 = 96;
const NC: i32 = 512;

// Packed A, packed B, and one tile for the edges, in this order.
const PACKED_A_BYTES: usize = (MC * KC) << 2;
const PACKED_B_BYTES: usize = (KC * NC) << 2;
const TILE_BYTES: usize = (MR * NR) << 2;

let packedA: usize = 0;
let packedB: usize = 0;
let tile: usize = 0;

/** Bytes of scratch memory that `gemmUse` needs, 64-byte aligned. */
export function gemmScratchBytes(): usize {
  return PACKED_A_BYTES + PACKED_B_BYTES + TILE_BYTES;
}

/** Hands the scratch memory in; before any other call. */
export function gemmUse(scratch: usize): void {
  packedA = scratch;
  packedB = scratch + PACKED_A_BYTES;
  tile = packedB + PACKED_B_BYTES;
}

/** Packs rows [0, rows) x [0, depth) of A: element (i, k) is at a + 4 * (i * rowStride + k * depthStride). */
function packA(a: usize, rows: i32, depth: i32, rowStride: usize, depthStride: usize): void {
  let to = packedA;
  const row = rowStride << 2;
  const step = depthStride << 2;
  let i = 0;
  if (row === 4) {
    for (; i + MR <= rows; i += MR) {
      let from = a + ((<usize>i) << 2);
      for (let k = 0; k < depth; k++) {
        v128.store(to, v128.load(from));
        v128.store64_lane(to, v128.load64_zero(from, 16), 0, 16);
        from += step;
        to += 24;
      }
    }
  }
  for (; i < rows; i += MR) {
    const left = rows - i;
    const a0 = a + <usize>i * row;
    if (left >= MR) {
      const a1 = a0 + row;
      const a2 = a1 + row;
      const a3 = a2 + row;
      const a4 = a3 + row;
      const a5 = a4 + row;
      let at: usize = 0;
      for (let k = 0; k < depth; k++) {
        store<f32>(to, load<f32>(a0 + at));
        store<f32>(to, load<f32>(a1 + at), 4);
        store<f32>(to, load<f32>(a2 + at), 8);
        store<f32>(to, load<f32>(a3 + at), 12);
        store<f32>(to, load<f32>(a4 + at), 16);
        store<f32>(to, load<f32>(a5 + at), 20);
        at += step;
        to += 24;
      }
    } else {
      let at: usize = 0;
      for (let k = 0; k < depth; k++) {
        for (let r = 0; r < MR; r++) {
          store<f32>(to + ((<usize>r) << 2), r < left ? load<f32>(a0 + <usize>r * row + at) : 0);
        }
        at += step;
        to += 24;
      }
    }
  }
}

/** Packs columns [0, columns) x [0, depth) of B: element (k, j) is at b + 4 * (k * depthStride + j * columnStride). */
function packB(b: usize, columns: i32, depth: i32, columnStride: usize, depthStride: usize): void {
  let to = packedB;
  const column = columnStride << 2;
  const step = depthStride << 2;
  for (let j = 0; j < columns; j += NR) {
    const left = columns - j;
    const b0 = b + <usize>j * column;
    if (left >= NR && column === 4) {
      let from = b0;
      for (let k = 0; k < depth; k++) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        from += step;
        to += 32;
      }
    } else if (left >= NR && step === 4) {
      // B is stored transposed: 4x4 squares are turned in registers.
      let k = 0;
      for (; k + 4 <= depth; k += 4) {
        const at = b0 + ((<usize>k) << 2);
        turn(at, column, to);
        turn(at + 4 * column, column, to + 16);
        to += 128;
      }
      for (; k < depth; k++) {
        const at = b0 + ((<usize>k) << 2);
        for (let c = 0; c < NR; c++) store<f32>(to + ((<usize>c) << 2), load<f32>(at + <usize>c * column));
        to += 32;
      }
    } else {
      let at = b0;
      for (let k = 0; k < depth; k++) {
        for (let c = 0; c < NR; c++) {
          store<f32>(to + ((<usize>c) << 2), c < left ? load<f32>(at + <usize>c * column) : 0);
        }
        at += step;
        to += 32;
      }
    }
  }
}

/** Writes the transpose of the 4x4 square at `from` (rows `row` bytes apart) to `to` (rows 32 bytes apart). */
// @ts-ignore: decorator
@inline
function turn(from: usize, row: usize, to: usize): void {
  const r0 = v128.load(from);
  const r1 = v128.load(from + row);
  const r2 = v128.load(from + 2 * row);
  const r3 = v128.load(from + 3 * row);
  const t0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const t1 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const t2 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const t3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(t0, t2, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(t0, t2, 2, 3, 6, 7), 32);
  v128.store(to, v128.shuffle<f32>(t1, t3, 0, 1, 4, 5), 64);
  v128.store(to, v128.shuffle<f32>(t1, t3, 2, 3, 6, 7), 96);
}

// @ts-ignore: decorator
@inline
function finish(sum0: v128, sum1: v128, c: usize, add: bool, bias: usize, relu: bool): void {
  let s0 = sum0;
  let s1 = sum1;
  if (add) {
    s0 = f32x4.add(v128.load(c), s0);
    s1 = f32x4.add(v128.load(c, 16), s1);
  }
  if (bias) {
    s0 = f32x4.add(s0, v128.load(bias));
    s1 = f32x4.add(s1, v128.load(bias, 16));
  }
  if (relu) {
    s0 = f32x4.max(s0, f32x4.splat(0));
    s1 = f32x4.max(s1, f32x4.splat(0));
  }
  v128.store(c, s0);
  v128.store(c, s1, 16);
}

/** One 6x8 tile: c (row stride `row` bytes) becomes, or grows by, the product of two packed panels. */
function micro(pa: usize, pb: usize, depth: i32, c: usize, row: usize, add: bool, bias: usize, relu: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  let c40 = c00;
  let c41 = c00;
  let c50 = c00;
  let c51 = c00;
  for (let k = depth; k > 0; k--) {
    const b0 = v128.load(pb);
    const b1 = v128.load(pb, 16);
    let a = v128.load32_splat(pa);
    c00 = f32x4.add(c00, f32x4.mul(a, b0));
    c01 = f32x4.add(c01, f32x4.mul(a, b1));
    a = v128.load32_splat(pa, 4);
    c10 = f32x4.add(c10, f32x4.mul(a, b0));
    c11 = f32x4.add(c11, f32x4.mul(a, b1));
    a = v128.load32_splat(pa, 8);
    c20 = f32x4.add(c20, f32x4.mul(a, b0));
    c21 = f32x4.add(c21, f32x4.mul(a, b1));
    a = v128.load32_splat(pa, 12);
    c30 = f32x4.add(c30, f32x4.mul(a, b0));
    c31 = f32x4.add(c31, f32x4.mul(a, b1));
    a = v128.load32_splat(pa, 16);
    c40 = f32x4.add(c40, f32x4.mul(a, b0));
    c41 = f32x4.add(c41, f32x4.mul(a, b1));
    a = v128.load32_splat(pa, 20);
    c50 = f32x4.add(c50, f32x4.mul(a, b0));
    c51 = f32x4.add(c51, f32x4.mul(a, b1));
    pa += 24;
    pb += 32;
  }
  finish(c00, c01, c, add, bias, relu);
  c += row;
  finish(c10, c11, c, add, bias, relu);
  c += row;
  finish(c20, c21, c, add, bias, relu);
  c += row;
  finish(c30, c31, c, add, bias, relu);
  c += row;
  finish(c40, c41, c, add, bias, relu);
  c += row;
  finish(c50, c51, c, add, bias, relu);
}

/** Copies the part of the edge tile that lies inside C. */
function copyTile(rows: i32, columns: i32, c: usize, row: usize, add: bool, bias: usize, relu: bool): void {
  for (let i = 0; i < rows; i++) {
    const from = tile + ((<usize>(i * NR)) << 2);
    for (let j = 0; j < columns; j++) {
      const at = (<usize>j) << 2;
      let sum = load<f32>(from + at);
      if (add) sum = load<f32>(c + at) + sum;
      if (bias) sum += load<f32>(bias + at);
      if (relu) sum = max<f32>(sum, 0);
      store<f32>(c + at, sum);
    }
    c += row;
  }
}

/**
 * C (m x n, rows contiguous) = op(A) op(B) [+ C] [+ bias] [relu]. All are float32 on the heap.
 * A is m x k, or k x m when transposed; B is k x n, or n x k when transposed.
 * @param accumulate whether C is added to, instead of written
 * @param bias n values added to each row, or 0
 */
export function gemm(
  a: usize,
  b: usize,
  c: usize,
  m: i32,
  n: i32,
  k: i32,
  transposeA: bool,
  transposeB: bool,
  accumulate: bool,
  bias: usize,
  relu: bool,
): void {
  const aRow: usize = transposeA ? 1 : <usize>k;
  const aStep: usize = transposeA ? <usize>m : 1;
  const bColumn: usize = transposeB ? <usize>k : 1;
  const bStep: usize = transposeB ? 1 : <usize>n;
  const cRow = (<usize>n) << 2;
  for (let jc = 0; jc < n; jc += NC) {
    const columns = min(NC, n - jc);
    let pc = 0;
    do {
      const depth = min(KC, k - pc);
      const last = pc + depth >= k;
      const add = accumulate || pc > 0;
      packB(b + ((<usize>jc * bColumn + <usize>pc * bStep) << 2), columns, depth, bColumn, bStep);
      for (let ic = 0; ic < m; ic += MC) {
        const rows = min(MC, m - ic);
        packA(a + ((<usize>ic * aRow + <usize>pc * aStep) << 2), rows, depth, aRow, aStep);
        for (let jr = 0; jr < columns; jr += NR) {
          const pb = packedB + ((<usize>jr * <usize>depth) << 2);
          const tileColumns = min(NR, columns - jr);
          const tileBias = last && bias ? bias + ((<usize>(jc + jr)) << 2) : 0;
          for (let ir = 0; ir < rows; ir += MR) {
            const pa = packedA + ((<usize>ir * <usize>depth) << 2);
            const tileRows = min(MR, rows - ir);
            const to = c + <usize>(ic + ir) * cRow + ((<usize>(jc + jr)) << 2);
            if (tileRows === MR && tileColumns === NR) {
              micro(pa, pb, depth, to, cRow, add, tileBias, last && relu);
            } else {
              micro(pa, pb, depth, tile, NR << 2, false, 0, false);
              copyTile(tileRows, tileColumns, to, cRow, add, tileBias, last && relu);
            }
          }
        }
      }
      pc += KC;
    } while (pc < k);
  }
}

/** `batch` products whose operands lie `aStride`, `bStride` elements apart (0: the same operand each time). */
export function gemmBatch(
  batch: i32,
  a: usize,
  aStride: usize,
  b: usize,
  bStride: usize,
  c: usize,
  m: i32,
  n: i32,
  k: i32,
  transposeA: bool,
  transposeB: bool,
): void {
  for (let i = 0; i < batch; i++) {
    gemm(a, b, c, m, n, k, transposeA, transposeB, false, 0, false);
    a += aStride << 2;
    b += bStride << 2;
    c += (<usize>m * <usize>n) << 2;
  }
}
