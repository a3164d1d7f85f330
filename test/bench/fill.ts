// Numbers for benches: the same every time, and no pattern that a kernel or a codec could take advantage of.
import { philox } from '../../shared/random.js';

/** Numbers between -limit and limit. */
export function fillUniform(values: Float32Array, key: number, limit: number): void {
  const counter = new Uint32Array(4);
  for (let i = 0; i < values.length; i++) {
    if (i % 4 === 0) {
      counter.set([i, key, 0, 0]);
      philox(counter, 1, 2);
    }
    values[i] = (counter[i % 4] / 2 ** 31 - 1) * limit;
  }
}
