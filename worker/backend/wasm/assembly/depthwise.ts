// The depthwise convolution and its gradients (NHWC; filters height x width x channels x multiplier), as loops over
// output pixels and filter taps with the channels innermost. Output channel = channel * multiplier + m.

let inHeight: i32 = 0;
let inWidth: i32 = 0;
let channels: i32 = 0;
let multiplier: i32 = 0;
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

export function depthwiseShape(
  height: i32,
  width: i32,
  c: i32,
  m: i32,
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
  channels = c;
  multiplier = m;
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

// What `tap` adds to: the output, the filter's gradient, or the input's gradient.
const TO_OUTPUT: i32 = 0;
const TO_FILTER: i32 = 1;
const TO_INPUT: i32 = 2;

/** One tap of the filter at one output pixel: the operand that `to` names grows by the product of the other two. */
// @ts-ignore: decorator
@inline
function tap(to: i32, image: usize, filter: usize, out: usize): void {
  const target = to === TO_OUTPUT ? out : to === TO_FILTER ? filter : image;
  const a = to === TO_INPUT ? filter : image;
  const b = to === TO_OUTPUT ? filter : out;
  if (multiplier === 1) {
    const bytes = (<usize>channels) << 2;
    let at: usize = 0;
    for (; at + 16 <= bytes; at += 16) {
      const product = f32x4.mul(v128.load(a + at), v128.load(b + at));
      v128.store(target + at, f32x4.add(v128.load(target + at), product));
    }
    for (; at < bytes; at += 4) {
      store<f32>(target + at, load<f32>(target + at) + load<f32>(a + at) * load<f32>(b + at));
    }
    return;
  }
  for (let c = 0; c < channels; c++) {
    const one = (<usize>c) << 2;
    for (let m = 0; m < multiplier; m++) {
      const many = (<usize>(c * multiplier + m)) << 2;
      const there = target + (to === TO_INPUT ? one : many);
      const product = load<f32>(a + (to === TO_INPUT ? many : one)) * load<f32>(b + many);
      store<f32>(there, load<f32>(there) + product);
    }
  }
}

/** Visits every output pixel and every tap of the filter that falls inside the image. */
// @ts-ignore: decorator
@inline
function visit(to: i32, image: usize, filter: usize, out: usize, batch: i32): void {
  const pixel = (<usize>channels) << 2;
  const wide = pixel * <usize>multiplier;
  for (let b = 0; b < batch; b++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let fy = 0; fy < filterHeight; fy++) {
          const y = oy * strideHeight - padTop + fy * dilationHeight;
          if (y < 0 || y >= inHeight) continue;
          for (let fx = 0; fx < filterWidth; fx++) {
            const x = ox * strideWidth - padLeft + fx * dilationWidth;
            if (x < 0 || x >= inWidth) continue;
            const here = image + <usize>((b * inHeight + y) * inWidth + x) * pixel;
            tap(to, here, filter + <usize>(fy * filterWidth + fx) * wide, out);
          }
        }
        out += wide;
      }
    }
  }
}

/** y = depthwise convolution of x. */
export function depthwise(x: usize, filter: usize, y: usize, batch: i32): void {
  memory.fill(y, 0, (<usize>(batch * outHeight * outWidth) * <usize>(channels * multiplier)) << 2);
  visit(TO_OUTPUT, x, filter, y, batch);
}

/** Gradient of the filter. */
export function depthwiseFilterGradient(x: usize, dy: usize, df: usize, batch: i32): void {
  memory.fill(df, 0, (<usize>(filterHeight * filterWidth * channels * multiplier)) << 2);
  visit(TO_FILTER, x, df, dy, batch);
}

/** Gradient of the input. */
export function depthwiseInputGradient(dy: usize, filter: usize, dx: usize, batch: i32): void {
  memory.fill(dx, 0, (<usize>(batch * inHeight * inWidth) * <usize>channels) << 2);
  visit(TO_INPUT, dx, filter, dy, batch);
}
