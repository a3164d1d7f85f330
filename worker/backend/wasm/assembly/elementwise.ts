// Element by element, and the sums that its gradients need. All float32 on the heap; operands may be the same
// memory as the result.

/** y = max(x, 0); NaN stays NaN. */
export function relu(x: usize, y: usize, size: usize): void {
  const zero = f32x4.splat(0);
  const bytes = size << 2;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) v128.store(y + at, f32x4.max(v128.load(x + at), zero));
  for (; at < bytes; at += 4) store<f32>(y + at, max<f32>(load<f32>(x + at), 0));
}

/** dx = dy where x > 0, else 0. */
export function reluGradient(dy: usize, x: usize, dx: usize, size: usize): void {
  const zero = f32x4.splat(0);
  const bytes = size << 2;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    v128.store(dx + at, v128.and(v128.load(dy + at), f32x4.gt(v128.load(x + at), zero)));
  }
  for (; at < bytes; at += 4) store<f32>(dx + at, load<f32>(x + at) > 0 ? load<f32>(dy + at) : 0);
}

/** dx = dy where low <= x <= high, else 0. */
export function clipGradient(dy: usize, x: usize, dx: usize, size: usize, low: f32, high: f32): void {
  const least = f32x4.splat(low);
  const most = f32x4.splat(high);
  const bytes = size << 2;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    const v = v128.load(x + at);
    const inside = v128.and(f32x4.ge(v, least), f32x4.le(v, most));
    v128.store(dx + at, v128.and(v128.load(dy + at), inside));
  }
  for (; at < bytes; at += 4) {
    const v = load<f32>(x + at);
    store<f32>(dx + at, v >= low && v <= high ? load<f32>(dy + at) : 0);
  }
}

/** dx = dy * y * (1 - y), y the sigmoid. */
export function sigmoidGradient(dy: usize, y: usize, dx: usize, size: usize): void {
  const one = f32x4.splat(1);
  const bytes = size << 2;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    const v = v128.load(y + at);
    v128.store(dx + at, f32x4.mul(v128.load(dy + at), f32x4.mul(v, f32x4.sub(one, v))));
  }
  for (; at < bytes; at += 4) {
    const v = load<f32>(y + at);
    store<f32>(dx + at, load<f32>(dy + at) * (v * (<f32>1 - v)));
  }
}

/** dx = dy * (1 - y * y), y the hyperbolic tangent. */
export function tanhGradient(dy: usize, y: usize, dx: usize, size: usize): void {
  const one = f32x4.splat(1);
  const bytes = size << 2;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    const v = v128.load(y + at);
    v128.store(dx + at, f32x4.mul(v128.load(dy + at), f32x4.sub(one, f32x4.mul(v, v))));
  }
  for (; at < bytes; at += 4) {
    const v = load<f32>(y + at);
    store<f32>(dx + at, load<f32>(dy + at) * (<f32>1 - v * v));
  }
}

// @ts-ignore: decorator
@inline
function wide(op: i32, a: v128, b: v128): v128 {
  if (op === 0) return f32x4.add(a, b);
  if (op === 1) return f32x4.sub(a, b);
  if (op === 2) return f32x4.mul(a, b);
  return f32x4.div(a, b);
}

// @ts-ignore: decorator
@inline
function narrow(op: i32, a: f32, b: f32): f32 {
  if (op === 0) return a + b;
  if (op === 1) return a - b;
  if (op === 2) return a * b;
  return a / b;
}

/** One row: each operand is a row itself, or (`aOne`, `bOne`) one number for the whole row. */
// @ts-ignore: decorator
@inline
function rowOf(op: i32, aOne: bool, bOne: bool, a: usize, b: usize, to: usize, bytes: usize): void {
  const a1 = aOne ? v128.load32_splat(a) : f32x4.splat(0);
  const b1 = bOne ? v128.load32_splat(b) : f32x4.splat(0);
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    v128.store(to + at, wide(op, aOne ? a1 : v128.load(a + at), bOne ? b1 : v128.load(b + at)));
  }
  for (; at < bytes; at += 4) {
    const left = aOne ? f32x4.extract_lane(a1, 0) : load<f32>(a + at);
    const right = bOne ? f32x4.extract_lane(b1, 0) : load<f32>(b + at);
    store<f32>(to + at, narrow(op, left, right));
  }
}

// @ts-ignore: decorator
@inline
function rowsOf(
  op: i32,
  a: usize,
  aStep: usize,
  aOne: bool,
  b: usize,
  bStep: usize,
  bOne: bool,
  to: usize,
  rows: i32,
  bytes: usize,
): void {
  for (let i = 0; i < rows; i++) {
    if (bOne) rowOf(op, false, true, a, b, to, bytes);
    else if (aOne) rowOf(op, true, false, a, b, to, bytes);
    else rowOf(op, false, false, a, b, to, bytes);
    a += aStep;
    b += bStep;
    to += bytes;
  }
}

/**
 * out (rows x columns) = a op b; op: 0 add, 1 subtract, 2 multiply, 3 divide.
 * An operand's step is how many elements it goes on from row to row (0: the same again); `aOne`, `bOne`: it has one
 * element a row. At most one of them.
 */
export function binary(
  op: i32,
  a: usize,
  aStep: usize,
  aOne: bool,
  b: usize,
  bStep: usize,
  bOne: bool,
  to: usize,
  rows: i32,
  columns: usize,
): void {
  const bytes = columns << 2;
  if (op === 0) rowsOf(0, a, aStep << 2, aOne, b, bStep << 2, bOne, to, rows, bytes);
  else if (op === 1) rowsOf(1, a, aStep << 2, aOne, b, bStep << 2, bOne, to, rows, bytes);
  else if (op === 2) rowsOf(2, a, aStep << 2, aOne, b, bStep << 2, bOne, to, rows, bytes);
  else rowsOf(3, a, aStep << 2, aOne, b, bStep << 2, bOne, to, rows, bytes);
}

/** Rows that are summed before their sum joins the total: keeps rounding errors of long sums small. */
const SUM_ROWS: i32 = 128;

/** out (columns) = the sum over the rows of x. */
export function columnSum(x: usize, out: usize, rows: i32, columns: i32): void {
  const row = (<usize>columns) << 2;
  let j = 0;
  for (; j + 16 <= columns; j += 16) {
    const at = (<usize>j) << 2;
    let t0 = f32x4.splat(0);
    let t1 = t0;
    let t2 = t0;
    let t3 = t0;
    for (let first = 0; first < rows; first += SUM_ROWS) {
      const end = min(first + SUM_ROWS, rows);
      let s0 = f32x4.splat(0);
      let s1 = s0;
      let s2 = s0;
      let s3 = s0;
      let from = x + <usize>first * row + at;
      for (let i = first; i < end; i++) {
        s0 = f32x4.add(s0, v128.load(from));
        s1 = f32x4.add(s1, v128.load(from, 16));
        s2 = f32x4.add(s2, v128.load(from, 32));
        s3 = f32x4.add(s3, v128.load(from, 48));
        from += row;
      }
      t0 = f32x4.add(t0, s0);
      t1 = f32x4.add(t1, s1);
      t2 = f32x4.add(t2, s2);
      t3 = f32x4.add(t3, s3);
    }
    v128.store(out + at, t0);
    v128.store(out + at, t1, 16);
    v128.store(out + at, t2, 32);
    v128.store(out + at, t3, 48);
  }
  for (; j < columns; j++) {
    const at = (<usize>j) << 2;
    let total: f32 = 0;
    for (let first = 0; first < rows; first += SUM_ROWS) {
      const end = min(first + SUM_ROWS, rows);
      let sum: f32 = 0;
      for (let i = first; i < end; i++) sum += load<f32>(x + <usize>i * row + at);
      total += sum;
    }
    store<f32>(out + at, total);
  }
}

/** out (segments x columns) = the sum of the rows of x that carry each segment's number; others are left out. */
export function segmentSum(x: usize, ids: usize, out: usize, rows: i32, columns: i32, segments: i32): void {
  const bytes = (<usize>columns) << 2;
  memory.fill(out, 0, <usize>segments * bytes);
  for (let i = 0; i < rows; i++) {
    const segment = load<i32>(ids + ((<usize>i) << 2));
    if (segment < 0 || segment >= segments) continue;
    const from = x + <usize>i * bytes;
    const to = out + <usize>segment * bytes;
    let at: usize = 0;
    for (; at + 16 <= bytes; at += 16) {
      v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)));
    }
    for (; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at));
  }
}
