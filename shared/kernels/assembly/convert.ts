// fp32 to fp16 and bf16 and back, for what goes on the wire and what comes from it. fp16 takes a factor: a
// power of two on the way out, its inverse (times a weight, where one applies) on the way back.
import {
  areUsualF16, fromBf16, fromF16, highUsualF16, lowUsualF16, toBf16, toF16, usualFactorF16,
} from './halves';

/** dst[i] = fp16(src[i] * scale): `n` fp32 to `n` fp16, rounded to nearest even; all products below 65520. */
export function packF16(src: usize, n: i32, scale: f32, dst: usize): void {
  const s = f32x4.splat(scale);
  const whole = n & ~15;
  let i = 0;
  for (; i < whole; i += 16, src += 64, dst += 32) {
    v128.store(dst, toF16(f32x4.mul(v128.load(src), s), f32x4.mul(v128.load(src, 16), s)));
    v128.store(dst, toF16(f32x4.mul(v128.load(src, 32), s), f32x4.mul(v128.load(src, 48), s)), 16);
  }
  for (; i < n; i++, src += 4, dst += 2) {
    const x = f32x4.mul(v128.load_splat<u32>(src), s);
    v128.store_lane<u16>(dst, toF16(x, x), 0);
  }
}

/** dst[i] = bf16(src[i]): `n` fp32 to `n` bf16, rounded to nearest even. */
export function packBf16(src: usize, n: i32, dst: usize): void {
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 32, dst += 16) {
    v128.store(dst, toBf16(v128.load(src), v128.load(src, 16)));
  }
  for (; i < n; i++, src += 4, dst += 2) {
    const x = v128.load_splat<u32>(src);
    v128.store_lane<u16>(dst, toBf16(x, x), 0);
  }
}

/** dst[i] = fp32(src[i]) * factor: `n` fp16 to `n` fp32. */
export function unpackF16(src: usize, n: i32, factor: f32, dst: usize): void {
  const usual = usualFactorF16(factor);
  const u = f32x4.splat(usual);
  const groups = abs(usual) < Infinity ? n & ~31 : 0;
  let i = 0;
  for (; i < groups; i += 32, src += 64, dst += 128) {
    const a = v128.load(src);
    const b = v128.load(src, 16);
    const c = v128.load(src, 32);
    const d = v128.load(src, 48);
    if (!areUsualF16(a, b, c, d)) {
      unpackAnyF16(src, 32, factor, dst);
      continue;
    }
    v128.store(dst, lowUsualF16(a, u));
    v128.store(dst, highUsualF16(a, u), 16);
    v128.store(dst, lowUsualF16(b, u), 32);
    v128.store(dst, highUsualF16(b, u), 48);
    v128.store(dst, lowUsualF16(c, u), 64);
    v128.store(dst, highUsualF16(c, u), 80);
    v128.store(dst, lowUsualF16(d, u), 96);
    v128.store(dst, highUsualF16(d, u), 112);
  }
  unpackAnyF16(src, n - i, factor, dst);
}

/** The same, also of what is not usual. */
function unpackAnyF16(src: usize, n: i32, factor: f32, dst: usize): void {
  const s = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 16, dst += 32) {
    const h = v128.load(src);
    v128.store(dst, f32x4.mul(fromF16(i32x4.extend_low_i16x8_u(h)), s));
    v128.store(dst, f32x4.mul(fromF16(i32x4.extend_high_i16x8_u(h)), s), 16);
  }
  for (; i < n; i++, src += 2, dst += 4) {
    const h = i32x4.extend_low_i16x8_u(v128.load_splat<u16>(src));
    v128.store_lane<u32>(dst, f32x4.mul(fromF16(h), s), 0);
  }
}

/** dst[i] = fp32(src[i]) * factor: `n` bf16 to `n` fp32. */
export function unpackBf16(src: usize, n: i32, factor: f32, dst: usize): void {
  const s = f32x4.splat(factor);
  const whole = n & ~7;
  let i = 0;
  for (; i < whole; i += 8, src += 16, dst += 32) {
    const h = v128.load(src);
    v128.store(dst, f32x4.mul(fromBf16(i32x4.extend_low_i16x8_u(h)), s));
    v128.store(dst, f32x4.mul(fromBf16(i32x4.extend_high_i16x8_u(h)), s), 16);
  }
  for (; i < n; i++, src += 2, dst += 4) {
    const h = i32x4.extend_low_i16x8_u(v128.load_splat<u16>(src));
    v128.store_lane<u32>(dst, f32x4.mul(fromBf16(h), s), 0);
  }
}
