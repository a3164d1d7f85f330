// Plain twins of assembly/convert.ts: fp32 to fp16 and bf16 and back, one number at a time.
// They state what the SIMD kernels must give, to the bit (of a NaN only that it is one; in fp16 of numbers in its range).

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Bits of the fp16 nearest to `x` (an fp32), ties to even; infinity from 65,520 on. */
export function toF16(x: number): number {
  float[0] = x;
  const sign = (bits[0] >>> 16) & 0x8000;
  const magnitude = bits[0] & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2^-14 fp16 counts in steps of 2^-24; 1.5 · 2^28 is where float64 does.
  if (magnitude < 0x38800000) return sign | ((Math.abs(x) + 1.5 * 2 ** 28 - 1.5 * 2 ** 28) * 2 ** 24);
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The number that the fp16 of these bits stands for. */
export function fromF16(half: number): number {
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  bits[0] = ((exponent + 112) << 23) | (fraction << 13);
  return sign * float[0];
}

/** Bits of the bf16 nearest to `x` (an fp32), ties to even. */
export function toBf16(x: number): number {
  float[0] = x;
  const b = bits[0];
  if ((b & 0x7fffffff) > 0x7f800000) return (b >>> 16) | 0x40;
  return (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
}

/** The number that the bf16 of these bits stands for. */
export function fromBf16(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

export function packF16(src: Float32Array, scale: number, dst: Uint16Array): void {
  const s = Math.fround(scale);
  for (let i = 0; i < src.length; i++) dst[i] = toF16(Math.fround(src[i] * s));
}

export function unpackF16(src: Uint16Array, factor: number, dst: Float32Array): void {
  const s = Math.fround(factor);
  for (let i = 0; i < src.length; i++) dst[i] = fromF16(src[i]) * s;
}

export function packBf16(src: Float32Array, dst: Uint16Array): void {
  for (let i = 0; i < src.length; i++) dst[i] = toBf16(src[i]);
}

export function unpackBf16(src: Uint16Array, factor: number, dst: Float32Array): void {
  const s = Math.fround(factor);
  for (let i = 0; i < src.length; i++) dst[i] = fromBf16(src[i]) * s;
}
