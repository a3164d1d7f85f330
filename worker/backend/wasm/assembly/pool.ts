// Max-pooling of NDHWC volumes (an image is a volume of depth 1) and its gradient. The stock kernels start their
// maximum at the smallest positive float, which is wrong where a window has nothing above zero; here it starts at
// minus infinity. Of equal maxima the first in the window's order gets the gradient, as in TensorFlow.

let channels: i32 = 0;
let inDepth: i32 = 0;
let inHeight: i32 = 0;
let inWidth: i32 = 0;
let outDepth: i32 = 0;
let outHeight: i32 = 0;
let outWidth: i32 = 0;
let windowDepth: i32 = 0;
let windowHeight: i32 = 0;
let windowWidth: i32 = 0;
let strideDepth: i32 = 0;
let strideHeight: i32 = 0;
let strideWidth: i32 = 0;
let dilationDepth: i32 = 0;
let dilationHeight: i32 = 0;
let dilationWidth: i32 = 0;
let padFront: i32 = 0;
let padTop: i32 = 0;
let padLeft: i32 = 0;

export function poolInput(depth: i32, height: i32, width: i32, c: i32): void {
  inDepth = depth;
  inHeight = height;
  inWidth = width;
  channels = c;
}

export function poolOutput(depth: i32, height: i32, width: i32): void {
  outDepth = depth;
  outHeight = height;
  outWidth = width;
}

export function poolWindow(depth: i32, height: i32, width: i32): void {
  windowDepth = depth;
  windowHeight = height;
  windowWidth = width;
}

export function poolSteps(sd: i32, sh: i32, sw: i32, dd: i32, dh: i32, dw: i32): void {
  strideDepth = sd;
  strideHeight = sh;
  strideWidth = sw;
  dilationDepth = dd;
  dilationHeight = dh;
  dilationWidth = dw;
}

export function poolPad(front: i32, top: i32, left: i32): void {
  padFront = front;
  padTop = top;
  padLeft = left;
}

/** First index >= 0 that a window starting at `start` reaches, counted in steps of the dilation. */
// @ts-ignore: decorator
@inline
function firstInside(start: i32, dilation: i32): i32 {
  return start >= 0 ? 0 : (dilation - 1 - start) / dilation;
}

/** One past the last index below `size`. */
// @ts-ignore: decorator
@inline
function endInside(start: i32, dilation: i32, window: i32, size: i32): i32 {
  const most = (size - start + dilation - 1) / dilation;
  return min(window, most);
}

/** Visits every window: what to do there is chosen by `mode`: 0 writes maxima, 1 gradients, 2 positions. */
// @ts-ignore: decorator
@inline
function windows(mode: i32, x: usize, dy: usize, to: usize, batch: i32, batchInIndex: bool): void {
  const pixel = (<usize>channels) << 2;
  const volume = inDepth * inHeight * inWidth;
  let out: usize = mode === 1 ? dy : to;
  for (let b = 0; b < batch; b++) {
    const base = <usize>(b * volume) * pixel;
    for (let oz = 0; oz < outDepth; oz++) {
      const z0 = oz * strideDepth - padFront;
      const zFirst = firstInside(z0, dilationDepth);
      const zEnd = endInside(z0, dilationDepth, windowDepth, inDepth);
      for (let oy = 0; oy < outHeight; oy++) {
        const y0 = oy * strideHeight - padTop;
        const yFirst = firstInside(y0, dilationHeight);
        const yEnd = endInside(y0, dilationHeight, windowHeight, inHeight);
        for (let ox = 0; ox < outWidth; ox++) {
          const x0 = ox * strideWidth - padLeft;
          const xFirst = firstInside(x0, dilationWidth);
          const xEnd = endInside(x0, dilationWidth, windowWidth, inWidth);
          let c = 0;
          for (; c + 4 <= channels && mode !== 2; c += 4) {
            const at = (<usize>c) << 2;
            let best = f32x4.splat(-Infinity);
            let where = i32x4.splat(-1);
            for (let z = zFirst; z < zEnd; z++) {
              for (let y = yFirst; y < yEnd; y++) {
                const row = ((z0 + z * dilationDepth) * inHeight + y0 + y * dilationHeight) * inWidth + x0;
                for (let w = xFirst; w < xEnd; w++) {
                  const position = row + w * dilationWidth;
                  const value = v128.load(x + base + <usize>position * pixel + at);
                  if (mode === 0) {
                    best = f32x4.max(best, value);
                  } else {
                    const better = f32x4.gt(value, best);
                    best = v128.bitselect(value, best, better);
                    where = v128.bitselect(i32x4.splat(position), where, better);
                  }
                }
              }
            }
            if (mode === 0) {
              v128.store(out + at, best);
            } else {
              const g = v128.load(out + at);
              for (let z = zFirst; z < zEnd; z++) {
                for (let y = yFirst; y < yEnd; y++) {
                  const row = ((z0 + z * dilationDepth) * inHeight + y0 + y * dilationHeight) * inWidth + x0;
                  for (let w = xFirst; w < xEnd; w++) {
                    const position = row + w * dilationWidth;
                    const there = to + base + <usize>position * pixel + at;
                    const share = v128.and(g, i32x4.eq(where, i32x4.splat(position)));
                    v128.store(there, f32x4.add(v128.load(there), share));
                  }
                }
              }
            }
          }
          for (; c < channels; c++) {
            const at = (<usize>c) << 2;
            let best: f32 = -Infinity;
            let where = -1;
            for (let z = zFirst; z < zEnd; z++) {
              for (let y = yFirst; y < yEnd; y++) {
                const row = ((z0 + z * dilationDepth) * inHeight + y0 + y * dilationHeight) * inWidth + x0;
                for (let w = xFirst; w < xEnd; w++) {
                  const position = row + w * dilationWidth;
                  const value = load<f32>(x + base + <usize>position * pixel + at);
                  if (mode === 0) {
                    best = max<f32>(best, value);
                  } else if (value > best || where < 0) {
                    best = value;
                    where = position;
                  }
                }
              }
            }
            if (mode === 0) store<f32>(out + at, best);
            else if (mode === 1) give(to + base + at, pixel, where, load<f32>(out + at));
            else store<i32>(out + at, ((batchInIndex ? b * volume : 0) + where) * channels + c);
          }
          out += pixel;
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function give(base: usize, pixel: usize, position: i32, gradient: f32): void {
  if (position >= 0) {
    const at = base + <usize>position * pixel;
    store<f32>(at, load<f32>(at) + gradient);
  }
}

/** y = the maximum of each window of x. */
export function maxPool(x: usize, y: usize, batch: i32): void {
  windows(0, x, 0, y, batch, false);
}

/** dx = dy at the maximum of each window, 0 elsewhere. */
export function maxPoolGradient(x: usize, dy: usize, dx: usize, batch: i32): void {
  memory.fill(dx, 0, (<usize>(batch * inDepth * inHeight * inWidth) * <usize>channels) << 2);
  windows(1, x, dy, dx, batch, false);
}

/** positions (int32) = where in x, flattened, each maximum is; within its image unless `batchInIndex`. */
export function maxPoolPositions(x: usize, positions: usize, batch: i32, batchInIndex: bool): void {
  windows(2, x, 0, positions, batch, batchInIndex);
}
