// Grayscale dilation and its gradients. The stock kernels start their maximum at the smallest positive float, which
// is wrong wherever nothing in a window is above zero. Rare in training, so plain loops over the heap.
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { type Call, override } from './override.js';

interface DilationAttributes {
  strides: number | [number, number];
  pad: 'same' | 'valid';
  dilations: number | [number, number];
}

interface DilationInputs {
  x: TensorInfo;
  filter: TensorInfo;
}

type Visit = (output: number, maximum: number, input: number, tap: number) => void;

/** Calls `visit` with each output's index and maximum, and the indices of the input and filter element behind it. */
function visitMaxima(
  call: Call<DilationInputs, DilationAttributes>,
  shape: number[] | undefined,
  visit: Visit,
): void {
  const { heap, inputs } = call;
  const x = heap.floats(inputs.x);
  const filter = heap.floats(inputs.filter);
  const info = geometryOf(call);
  if (shape && shape.join() !== info.outShape.join()) {
    throw new Error(`dilation2d: expected a gradient of shape [${info.outShape}], got [${shape}]`);
  }
  const { inHeight, inWidth, inChannels, filterHeight, filterWidth, padInfo } = info;
  let output = 0;
  for (let b = 0; b < info.batchSize; b++) {
    for (let oy = 0; oy < info.outHeight; oy++) {
      for (let ox = 0; ox < info.outWidth; ox++) {
        for (let c = 0; c < inChannels; c++) {
          let maximum = Number.NEGATIVE_INFINITY;
          let input = -1;
          let tap = -1;
          for (let fy = 0; fy < filterHeight; fy++) {
            const y = oy * info.strideHeight - padInfo.top + fy * info.dilationHeight;
            if (y < 0 || y >= inHeight) continue;
            for (let fx = 0; fx < filterWidth; fx++) {
              const column = ox * info.strideWidth - padInfo.left + fx * info.dilationWidth;
              if (column < 0 || column >= inWidth) continue;
              const at = ((b * inHeight + y) * inWidth + column) * inChannels + c;
              const by = (fy * filterWidth + fx) * inChannels + c;
              const value = x[at] + filter[by];
              if (value > maximum || input < 0) {
                maximum = value;
                input = at;
                tap = by;
              }
            }
          }
          visit(output++, maximum, input, tap);
        }
      }
    }
  }
}

function geometryOf({ inputs: { x, filter }, attrs }: Call<DilationInputs, DilationAttributes>) {
  if (x.dtype !== 'float32' || filter.dtype !== 'float32') {
    throw new Error(`dilation2d: expected float32, got ${x.dtype} and ${filter.dtype}`);
  }
  return backend_util.computeDilation2DInfo(
    x.shape as [number, number, number, number],
    filter.shape as [number, number, number],
    attrs.strides,
    attrs.pad,
    'NHWC',
    attrs.dilations,
  );
}

/** Registers Dilation2D and its two gradients. */
export function overrideDilation(): void {
  override<DilationInputs, DilationAttributes>('Dilation2D', (call) => {
    const out = call.heap.make(geometryOf(call).outShape);
    const y = call.heap.floats(out);
    visitMaxima(call, undefined, (output, maximum) => {
      y[output] = maximum;
    });
    return out;
  });

  const gradients = [
    ['Dilation2DBackpropInput', 'x'],
    ['Dilation2DBackpropFilter', 'filter'],
  ] as const;
  for (const [kernelName, of] of gradients) {
    override<DilationInputs & { dy: TensorInfo }, DilationAttributes>(kernelName, (call) => {
      const { heap, inputs } = call;
      const out = heap.make(inputs[of].shape);
      const sums = heap.floats(out).fill(0);
      const dy = heap.floats(inputs.dy);
      visitMaxima(call, inputs.dy.shape, (output, _maximum, input, tap) => {
        sums[of === 'x' ? input : tap] += dy[output];
      });
      return out;
    });
  }
}
