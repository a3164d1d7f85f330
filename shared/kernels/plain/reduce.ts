// Plain twins of assembly/reduce.ts: one number that speaks for many.

/** Largest magnitude; NaN if any is NaN. */
export function absmax(src: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < src.length; i++) {
    const magnitude = Math.abs(src[i]);
    if (magnitude > largest) largest = magnitude;
    else if (Number.isNaN(magnitude)) return magnitude;
  }
  return largest;
}

/** Whether the magnitude bits of all halves are below `limit`. */
export function halvesBelow(src: Uint16Array, limit: number): boolean {
  for (let i = 0; i < src.length; i++) {
    if ((src[i] & 0x7fff) >= limit) return false;
  }
  return true;
}

/** Element i goes into sum i mod 8; the eight are added pairwise. */
export function sumOfSquares(src: Float32Array): number {
  const s = new Float64Array(8);
  for (let i = 0; i < src.length; i++) s[i & 7] += src[i] * src[i];
  return s[0] + s[1] + (s[2] + s[3]) + (s[4] + s[5] + (s[6] + s[7]));
}
