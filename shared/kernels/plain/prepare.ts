// Plain twin of assembly/prepare.ts: the same operations in the same order, each rounded to fp32.

const { fround, max, min, sign } = Math;

/** gradient = clamp(gradient · gradientScale, ±clipValue) + (2 · l2 · p + l1 · sign(p)), in place. */
export function prepareGradient(
  gradient: Float32Array,
  param: Float32Array,
  options: { gradientScale: number; clipValue: number; l1: number; l2: number },
): void {
  const scale = fround(options.gradientScale);
  const clip = fround(options.clipValue);
  const l1 = fround(options.l1);
  const slope = fround(2 * options.l2);
  for (let i = 0; i < gradient.length; i++) {
    const mean = fround(gradient[i] * scale);
    // `+ 0` makes the sign of -0 a +0, as a cleared lane has it.
    const penalty = fround(fround(param[i] * slope) + fround((sign(param[i]) + 0) * l1));
    gradient[i] = max(min(mean, clip), -clip) + penalty;
  }
}
