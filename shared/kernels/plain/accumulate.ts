// Plain twins of assembly/accumulate.ts: the weighted sum over workers, rounded to fp32 after each product
// and after each sum.
import { fromBf16, fromF16 } from './convert.js';

export function addF16(src: Uint16Array, factor: number, acc: Float32Array): void {
  const s = Math.fround(factor);
  for (let i = 0; i < src.length; i++) acc[i] += Math.fround(fromF16(src[i]) * s);
}

export function addBf16(src: Uint16Array, factor: number, acc: Float32Array): void {
  const s = Math.fround(factor);
  for (let i = 0; i < src.length; i++) acc[i] += Math.fround(fromBf16(src[i]) * s);
}

export function addF32(src: Float32Array, factor: number, acc: Float32Array): void {
  const s = Math.fround(factor);
  for (let i = 0; i < src.length; i++) acc[i] += Math.fround(src[i] * s);
}

export function scaleF32(src: Float32Array, factor: number, dst: Float32Array): void {
  const s = Math.fround(factor);
  for (let i = 0; i < src.length; i++) dst[i] = src[i] * s;
}
