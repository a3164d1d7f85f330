// Copies of rectangles, which is what slicing, splitting, stacking and concatenating come down to.

/**
 * Copies `rows` runs of `bytes` from `from` to `to`; the runs lie `fromStep` and `toStep` bytes apart.
 */
export function copyRows(from: usize, fromStep: usize, to: usize, toStep: usize, rows: i32, bytes: usize): void {
  const short = bytes < 512 && (bytes & 3) === 0;
  for (let i = 0; i < rows; i++) {
    if (short) {
      let at: usize = 0;
      for (; at + 16 <= bytes; at += 16) v128.store(to + at, v128.load(from + at));
      for (; at < bytes; at += 4) store<u32>(to + at, load<u32>(from + at));
    } else {
      memory.copy(to, from, bytes);
    }
    from += fromStep;
    to += toStep;
  }
}
