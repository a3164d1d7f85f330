// Matrix multiplication over the heap of the tfjs wasm backend: C = op(A) op(B), with bias and relu on the way out.
// The layout of the loops is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication",
// TOMS 2008: B is packed in panels of 8 columns, A in panels of 5 rows (4 where that fits better), and the inner
// kernel keeps 5x8 sums in registers: with 6x8 V8 spills, which halves the speed. Transposes cost nothing extra: they
// are undone while packing.
// Every sum is taken in one fixed order, so that a result has the same bits on every machine.

const MR: i32 = 5;
const NR: i32 = 8;
const KC: i32 = 256;
const MC: i32 = 120;
const NC: i32 = 512;

// Packed A, packed B and one tile that is not stored as it is, in this order.
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

/**
 * How `rows` rows are cut into panels: `fives` of 5 rows, then panels of 4, so that none is padded where that can
 * be. Where it cannot (1, 2, 3, 6, 7 or 11 rows), all are of 5 and the last is padded with zeros.
 */
// @ts-ignore: decorator
@inline
function fivesOf(rows: i32): i32 {
  const panels = (rows + MR - 1) / MR;
  const fives = rows - 4 * panels;
  return fives < 0 ? panels : fives;
}

/** Packs rows [0, rows) x [0, depth) of A: element (i, k) is at a + 4 * (i * rowStride + k * depthStride). */
function packA(a: usize, rows: i32, depth: i32, rowStride: usize, depthStride: usize): void {
  const row = rowStride << 2;
  const step = depthStride << 2;
  const fives = fivesOf(rows);
  let to = packedA;
  let i = 0;
  for (let panel = 0; i < rows; panel++) {
    const height = panel < fives ? 5 : 4;
    const left = rows - i;
    const from = a + <usize>i * row;
    if (left < height) packPart(from, left, depth, row, step, to);
    else if (row === 4) packRuns(from, height === 5, depth, step, to);
    else packTurned(from, height === 5, depth, row, to);
        to += <usize>(height * depth) << 2;
    i += height;
  }
}

/** A panel whose rows lie side by side in memory (A is stored transposed). */
function packRuns(from: usize, five: bool, depth: i32, step: usize, to: usize): void {
  for (let k = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    if (five) store<f32>(to, load<f32>(from, 16), 16);
    from += step;
    to += five ? 20 : 16;
  }
}

/** A panel of rows that are contiguous themselves: 4x4 squares are turned in registers. */
function packTurned(from: usize, five: bool, depth: i32, row: usize, to: usize): void {
  const width: usize = five ? 20 : 16;
  const fifth = from + 4 * row;
  let at: usize = 0;
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    turn(from + at, row, to, width);
    if (five) {
      store<f32>(to, load<f32>(fifth + at), 16);
      store<f32>(to, load<f32>(fifth + at, 4), 36);
      store<f32>(to, load<f32>(fifth + at, 8), 56);
      store<f32>(to, load<f32>(fifth + at, 12), 76);
    }
    at += 16;
    to += 4 * width;
  }
  for (; k < depth; k++) {
    const height = five ? 5 : 4;
    for (let r = 0; r < height; r++) store<f32>(to + ((<usize>r) << 2), load<f32>(from + <usize>r * row + at));
    at += 4;
    to += width;
  }
}

/** The first `rows` rows of a panel of 5, the others zero. */
function packPart(from: usize, rows: i32, depth: i32, row: usize, step: usize, to: usize): void {
  for (let k = 0; k < depth; k++) {
    for (let r = 0; r < MR; r++) {
      store<f32>(to + ((<usize>r) << 2), r < rows ? load<f32>(from + <usize>r * row) : 0);
    }
    from += step;
    to += 20;
  }
}

/** Packs columns [0, columns) x [0, depth) of B: element (k, j) is at b + 4 * (k * depthStride + j * columnStride). */
function packB(b: usize, columns: i32, depth: i32, columnStride: usize, depthStride: usize): void {
  let to = packedB;
  const column = columnStride << 2;
  const step = depthStride << 2;
  const panel = (<usize>depth * NR) << 2;
  for (let j = 0; j < columns; j += NR) {
    const left = columns - j;
    const b0 = b + <usize>j * column;
    if (left >= 2 * NR && column === 4) {
      // Two panels at once: they share the cache lines of B.
      let from = b0;
      for (let k = 0; k < depth; k++) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        v128.store(to + panel, v128.load(from, 32));
        v128.store(to + panel, v128.load(from, 48), 16);
        from += step;
        to += 32;
      }
      to += panel;
      j += NR;
      continue;
    }
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
        turn(at, column, to, 32);
        turn(at + 4 * column, column, to + 16, 32);
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

/** Writes the transpose of the 4x4 square at `from` (rows `row` bytes apart) to `to` (rows `width` bytes apart). */
// @ts-ignore: decorator
@inline
function turn(from: usize, row: usize, to: usize, width: usize): void {
  const r0 = v128.load(from);
  const r1 = v128.load(from + row);
  const r2 = v128.load(from + 2 * row);
  const r3 = v128.load(from + 3 * row);
  const t0 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const t1 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const t2 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const t3 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(t0, t2, 0, 1, 4, 5));
  v128.store(to + width, v128.shuffle<f32>(t0, t2, 2, 3, 6, 7));
  v128.store(to + 2 * width, v128.shuffle<f32>(t1, t3, 0, 1, 4, 5));
  v128.store(to + 3 * width, v128.shuffle<f32>(t1, t3, 2, 3, 6, 7));
}

/**
 * One 5x8 tile: c (row stride `row` bytes) becomes the product of two packed panels. Bare stores at the end, and
 * nothing else: any arithmetic or branch there makes V8 load all operands first and spill, at half the speed.
 */
export function micro5(
  pa: usize,
  pb: usize,
  depth: i32,
  c: usize,
  row: usize,
): void {
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
    pa += 20;
    pb += 32;
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  c += row;
  v128.store(c, c10);
  v128.store(c, c11, 16);
  c += row;
  v128.store(c, c20);
  v128.store(c, c21, 16);
  c += row;
  v128.store(c, c30);
  v128.store(c, c31, 16);
  c += row;
  v128.store(c, c40);
  v128.store(c, c41, 16);
}

/** As `micro5`, of four rows. */
export function micro4(
  pa: usize,
  pb: usize,
  depth: i32,
  c: usize,
  row: usize,
): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
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
    pa += 16;
    pb += 32;
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  c += row;
  v128.store(c, c10);
  v128.store(c, c11, 16);
  c += row;
  v128.store(c, c20);
  v128.store(c, c21, 16);
  c += row;
  v128.store(c, c30);
  v128.store(c, c31, 16);
}

/** Puts the part of the tile that lies inside C where it belongs: added, with bias, clipped, as asked for. */
function combine(rows: i32, columns: i32, c: usize, row: usize, add: bool, bias: usize, relu: bool): void {
  const floor: f32 = relu ? 0 : -Infinity;
  let from = tile;
  for (let i = 0; i < rows; i++) {
    if (columns === NR) {
      let s0 = v128.load(from);
      let s1 = v128.load(from, 16);
      if (add) {
        s0 = f32x4.add(v128.load(c), s0);
        s1 = f32x4.add(v128.load(c, 16), s1);
      }
      if (bias) {
        s0 = f32x4.add(s0, v128.load(bias));
        s1 = f32x4.add(s1, v128.load(bias, 16));
      }
      v128.store(c, f32x4.max(s0, f32x4.splat(floor)));
      v128.store(c, f32x4.max(s1, f32x4.splat(floor)), 16);
    } else {
      for (let j = 0; j < columns; j++) {
        const at = (<usize>j) << 2;
        let sum = load<f32>(from + at);
        if (add) sum = load<f32>(c + at) + sum;
        if (bias) sum += load<f32>(bias + at);
        store<f32>(c + at, max<f32>(sum, floor));
      }
    }
    from += NR << 2;
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
      const plain = !add && !(last && (bias || relu));
      packB(b + ((<usize>jc * bColumn + <usize>pc * bStep) << 2), columns, depth, bColumn, bStep);
      for (let ic = 0; ic < m; ic += MC) {
        const rows = min(MC, m - ic);
        const fives = fivesOf(rows);
        packA(a + ((<usize>ic * aRow + <usize>pc * aStep) << 2), rows, depth, aRow, aStep);
        for (let jr = 0; jr < columns; jr += NR) {
          const pb = packedB + ((<usize>jr * <usize>depth) << 2);
          const tileColumns = min(NR, columns - jr);
          const tileBias = last && bias ? bias + ((<usize>(jc + jr)) << 2) : 0;
          let pa = packedA;
          let ir = 0;
          for (let panel = 0; ir < rows; panel++) {
            const height = panel < fives ? 5 : 4;
            const to = c + <usize>(ic + ir) * cRow + ((<usize>(jc + jr)) << 2);
            const direct = plain && rows - ir >= height && tileColumns === NR;
            if (height === 5) micro5(pa, pb, depth, direct ? to : tile, direct ? cRow : NR << 2);
            else micro4(pa, pb, depth, direct ? to : tile, direct ? cRow : NR << 2);
            if (!direct) combine(min(height, rows - ir), tileColumns, to, cRow, add, tileBias, last && relu);
            pa += <usize>(height * depth) << 2;
            ir += height;
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
