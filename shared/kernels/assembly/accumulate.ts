// The weighted sum over workers: acc[i] += factor * decoded[i], decoding on the way. The first contribution
// overwrites instead (unpackF16, unpackBf16, scaleF32), so that no sum needs a pass that zeroes it.
import { areUsualF16, fromBf16, fromF16, highUsualF16, lowUsualF16, usualFactorF16 } from './halves';

/** acc[i] += fp32(src[i]) * factor, from fp16. */
export function addF16(src: usize, n: i32, factor: f32, acc: usize): void {
  const usual = usualFactorF16(factor);
  const u = f32x4.splat(usual);
  const groups = abs(usual) < Infinity ? n & ~31 : 0;
  let i = 0;
  for (; i < groups; i += 32, src += 64, acc += 128) {
    const a = v128.load(src);
    const b = v128.load(src, 16);
    const c = v128.load(src, 32);
    const d = v128.load(src, 48);
    if (!areUsualF16(a, b, c, d)) {
      addAnyF16(src, 32, factor, acc);
      continue;
    }
    v128.store(acc, f32x4.add(v128.load(acc), lowUsualF16(a, u)));
    v128.store(acc, f32x4.add(v128.load(acc, 16), highUsualF16(a, u)), 16);
    v128.store(acc, f32x4.add(v128.load(acc, 32), lowUsualF16(b, u)), 32);
    v128.store(acc, f32x4.add(v128.load(acc, 48), highUsualF16(b, u)), 48);
    v128.store(acc, f32x4.add(v128.load(acc, 64), lowUsualF16(c, u)), 64);
    v128.store(acc, f32x4.add(v128.load(acc, 80), highUsualF16(c, u)), 80);
    v128.store(acc, f32x4.add(v128.load(acc, 96), lowUsualF16(d, u)), 96);
    v128.store(acc, f32x4.add(v128.load(acc, 112), highUsualF16(d, u)), 112);
  }
  addAnyF16(src, n - i, factor, acc);
}

/** The same, also of what is not usual. */
function addAnyF16(src: usize, n: i32, factor: f32, acc: usize): void {
  const s = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 16, acc += 32) {
    const h = v128.load(src);
    const low = f32x4.mul(fromF16(i32x4.extend_low_i16x8_u(h)), s);
    const high = f32x4.mul(fromF16(i32x4.extend_high_i16x8_u(h)), s);
    v128.store(acc, f32x4.add(v128.load(acc), low));
    v128.store(acc, f32x4.add(v128.load(acc, 16), high), 16);
  }
  for (; i < n; i++, src += 2, acc += 4) {
    const x = fromF16(i32x4.extend_low_i16x8_u(v128.load_splat<u16>(src)));
    v128.store_lane<u32>(acc, f32x4.add(v128.load_splat<u32>(acc), f32x4.mul(x, s)), 0);
  }
}

/** acc[i] += fp32(src[i]) * factor, from bf16. */
export function addBf16(src: usize, n: i32, factor: f32, acc: usize): void {
  const s = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 16, acc += 32) {
    const h = v128.load(src);
    const low = f32x4.mul(fromBf16(i32x4.extend_low_i16x8_u(h)), s);
    const high = f32x4.mul(fromBf16(i32x4.extend_high_i16x8_u(h)), s);
    v128.store(acc, f32x4.add(v128.load(acc), low));
    v128.store(acc, f32x4.add(v128.load(acc, 16), high), 16);
  }
  for (; i < n; i++, src += 2, acc += 4) {
    const x = fromBf16(i32x4.extend_low_i16x8_u(v128.load_splat<u16>(src)));
    v128.store_lane<u32>(acc, f32x4.add(v128.load_splat<u32>(acc), f32x4.mul(x, s)), 0);
  }
}

/** acc[i] += src[i] * factor. */
export function addF32(src: usize, n: i32, factor: f32, acc: usize): void {
  const s = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 32, acc += 32) {
    v128.store(acc, f32x4.add(v128.load(acc), f32x4.mul(v128.load(src), s)));
    v128.store(acc, f32x4.add(v128.load(acc, 16), f32x4.mul(v128.load(src, 16), s)), 16);
  }
  for (; i < n; i++, src += 4, acc += 4) {
    store<f32>(acc, load<f32>(acc) + load<f32>(src) * factor);
  }
}

/** dst[i] = src[i] * factor. */
export function scaleF32(src: usize, n: i32, factor: f32, dst: usize): void {
  const s = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 32, dst += 32) {
    v128.store(dst, f32x4.mul(v128.load(src), s));
    v128.store(dst, f32x4.mul(v128.load(src, 16), s), 16);
  }
  for (; i < n; i++, src += 4, dst += 4) {
    store<f32>(dst, load<f32>(src) * factor);
  }
}

/** Copies bytes; the ranges may overlap. */
export function copyBytes(src: usize, bytes: usize, dst: usize): void {
  memory.copy(dst, src, bytes);
}
