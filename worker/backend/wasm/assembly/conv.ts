// Two-dimensional convolution and its two gradients as matrix products: patches of the image become rows of a
// matrix (im2col; Chellapilla et al., "High performance convolutional neural networks for document processing",
// 2006), some rows at a time so that they stay in cache. Layout NHWC; filters height x width x in x out.
import { gemm } from './gemm';

/** Geometry of the convolution at hand; set by `convShape` before each call. */
let inHeight: i32 = 0;
let inWidth: i32 = 0;
let inChannels: i32 = 0;
let outHeight: i32 = 0;
let outWidth: i32 = 0;
let filterHeight: i32 = 0;
let filterWidth: i32 = 0;
let strideHeight: i32 = 0;
let strideWidth: i32 = 0;
let dilationHeight: i32 = 0;
let dilationWidth: i32 = 0;
let padTop: i32 = 0;
let padLeft: i32 = 0;

let columns: usize = 0;
let columnsBytes: usize = 0;

/** Hands in the scratch memory for patches: room for one at least, and best some that fit into the L2 cache. */
export function convUse(scratch: usize, bytes: usize): void {
  columns = scratch;
  columnsBytes = bytes;
}

export function convShape(
  height: i32,
  width: i32,
  channels: i32,
  heightOut: i32,
  widthOut: i32,
  heightFilter: i32,
  widthFilter: i32,
  heightStride: i32,
  widthStride: i32,
  heightDilation: i32,
  widthDilation: i32,
  top: i32,
  left: i32,
): void {
  inHeight = height;
  inWidth = width;
  inChannels = channels;
  outHeight = heightOut;
  outWidth = widthOut;
  filterHeight = heightFilter;
  filterWidth = widthFilter;
  strideHeight = heightStride;
  strideWidth = widthStride;
  dilationHeight = heightDilation;
  dilationWidth = widthDilation;
  padTop = top;
  padLeft = left;
}

/** Whether a patch is one pixel and patches are the pixels themselves, in order. */
// @ts-ignore: decorator
@inline
function isPointwise(): bool {
  return (
    filterHeight === 1 &&
    filterWidth === 1 &&
    strideHeight === 1 &&
    strideWidth === 1 &&
    padTop === 0 &&
    padLeft === 0 &&
    outHeight === inHeight &&
    outWidth === inWidth
  );
}

// @ts-ignore: decorator
@inline
function rowsAtOnce(depth: i32): i32 {
  return max(1, <i32>(columnsBytes / ((<usize>depth) << 2)));
}

/** Copies `bytes`, a multiple of 4. */
// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, bytes: usize): void {
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, v128.load(from + at));
  for (; at < bytes; at += 4) store<u32>(to + at, load<u32>(from + at));
}

// @ts-ignore: decorator
@inline
function clear(to: usize, bytes: usize): void {
  const zero = i32x4.splat(0);
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) v128.store(to + at, zero);
  for (; at < bytes; at += 4) store<u32>(to + at, 0);
}

/** Adds `bytes` / 4 floats at `from` to those at `to`. */
// @ts-ignore: decorator
@inline
function addTo(to: usize, from: usize, bytes: usize): void {
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(from + at)));
  }
  for (; at < bytes; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(from + at));
}

/** Writes the patches of output pixels [first, first + count), counted through the batch, as rows of `columns`. */
function im2col(x: usize, first: i32, count: i32): void {
  const pixel = (<usize>inChannels) << 2;
  const patchRow = <usize>filterWidth * pixel;
  const image = outHeight * outWidth;
  let b = first / image;
  let oy = (first % image) / outWidth;
  let ox = first % outWidth;
  let to = columns;
  for (let i = 0; i < count; i++) {
    const base = x + <usize>b * <usize>(inHeight * inWidth) * pixel;
    const x0 = ox * strideWidth - padLeft;
    const inside = dilationWidth === 1 && x0 >= 0 && x0 + filterWidth <= inWidth;
    let y = oy * strideHeight - padTop;
    for (let fy = 0; fy < filterHeight; fy++) {
      if (y < 0 || y >= inHeight) {
        clear(to, patchRow);
        to += patchRow;
      } else {
        const row = base + <usize>(y * inWidth) * pixel;
        if (inside) {
          copy(to, row + <usize>x0 * pixel, patchRow);
          to += patchRow;
        } else {
          let px = x0;
          for (let fx = 0; fx < filterWidth; fx++) {
            if (px >= 0 && px < inWidth) copy(to, row + <usize>px * pixel, pixel);
            else clear(to, pixel);
            px += dilationWidth;
            to += pixel;
          }
        }
      }
      y += dilationHeight;
    }
    if (++ox === outWidth) {
      ox = 0;
      if (++oy === outHeight) {
        oy = 0;
        b++;
      }
    }
  }
}

/** The reverse of im2col: adds the rows of `columns` onto the pixels that they came from. */
function col2im(dx: usize, first: i32, count: i32): void {
  const pixel = (<usize>inChannels) << 2;
  const patchRow = <usize>filterWidth * pixel;
  const image = outHeight * outWidth;
  let b = first / image;
  let oy = (first % image) / outWidth;
  let ox = first % outWidth;
  let from = columns;
  for (let i = 0; i < count; i++) {
    const base = dx + <usize>b * <usize>(inHeight * inWidth) * pixel;
    const x0 = ox * strideWidth - padLeft;
    const inside = dilationWidth === 1 && x0 >= 0 && x0 + filterWidth <= inWidth;
    let y = oy * strideHeight - padTop;
    for (let fy = 0; fy < filterHeight; fy++) {
      if (y >= 0 && y < inHeight) {
        const row = base + <usize>(y * inWidth) * pixel;
        if (inside) {
          addTo(row + <usize>x0 * pixel, from, patchRow);
        } else {
          let px = x0;
          let at = from;
          for (let fx = 0; fx < filterWidth; fx++) {
            if (px >= 0 && px < inWidth) addTo(row + <usize>px * pixel, at, pixel);
            px += dilationWidth;
            at += pixel;
          }
        }
      }
      from += patchRow;
      y += dilationHeight;
    }
    if (++ox === outWidth) {
      ox = 0;
      if (++oy === outHeight) {
        oy = 0;
        b++;
      }
    }
  }
}

/** y = conv(x, filter) [+ bias] [relu]; `batch` images. */
export function conv(x: usize, filter: usize, y: usize, batch: i32, outChannels: i32, bias: usize, relu: bool): void {
  const depth = filterHeight * filterWidth * inChannels;
  const pixels = batch * outHeight * outWidth;
  if (isPointwise()) {
    gemm(x, filter, y, pixels, outChannels, depth, false, false, false, bias, relu);
    return;
  }
  const step = rowsAtOnce(depth);
  for (let first = 0; first < pixels; first += step) {
    const count = min(step, pixels - first);
    im2col(x, first, count);
    const to = y + ((<usize>first * <usize>outChannels) << 2);
    gemm(columns, filter, to, count, outChannels, depth, false, false, false, bias, relu);
  }
}

/** Gradient of the filter: patches, transposed, times dy. */
export function convFilterGradient(x: usize, dy: usize, df: usize, batch: i32, outChannels: i32): void {
  const depth = filterHeight * filterWidth * inChannels;
  const pixels = batch * outHeight * outWidth;
  if (isPointwise()) {
    gemm(x, dy, df, depth, outChannels, pixels, true, false, false, 0, false);
    return;
  }
  memory.fill(df, 0, (<usize>depth * <usize>outChannels) << 2);
  const step = rowsAtOnce(depth);
  for (let first = 0; first < pixels; first += step) {
    const count = min(step, pixels - first);
    im2col(x, first, count);
    const from = dy + ((<usize>first * <usize>outChannels) << 2);
    gemm(columns, from, df, depth, outChannels, count, true, false, true, 0, false);
  }
}

/** Gradient of the input: dy times the filter, transposed, added back onto the pixels of each patch. */
export function convInputGradient(dy: usize, filter: usize, dx: usize, batch: i32, outChannels: i32): void {
  const depth = filterHeight * filterWidth * inChannels;
  const pixels = batch * outHeight * outWidth;
  if (isPointwise()) {
    gemm(dy, filter, dx, pixels, depth, outChannels, false, true, false, 0, false);
    return;
  }
  memory.fill(dx, 0, (<usize>(batch * inHeight * inWidth) * <usize>inChannels) << 2);
  const step = rowsAtOnce(depth);
  for (let first = 0; first < pixels; first += step) {
    const count = min(step, pixels - first);
    const from = dy + ((<usize>first * <usize>outChannels) << 2);
    gemm(from, filter, columns, count, depth, outChannels, false, true, false, 0, false);
    col2im(dx, first, count);
  }
}
