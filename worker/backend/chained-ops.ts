// The methods of tensors (`x.flatten()`, `x.mul(y)`): tfjs-core keeps them in modules that Node cannot import, only
// the whole `@tensorflow/tfjs` brings them along. tfjs-layers calls them (the initializer of an LSTM does), and so
// may a user's loss. Methods that are there already, because a job imported the whole package, are left alone.
import * as core from '@tensorflow/tfjs-core';

type Operation = (...args: unknown[]) => unknown;

/** Operations whose method only puts the tensor in front of its arguments. */
const PLAIN =
  'abs acos acosh add all any argMax argMin asin asinh atan atan2 atanh avgPool batchNorm batchToSpaceND ' +
  'broadcastTo cast ceil clipByValue conv1d conv2d conv2dTranspose cos cosh cumprod cumsum depthToSpace ' +
  'depthwiseConv2d dilation2d div divNoNan dot elu equal erf euclideanNorm exp expandDims expm1 fft floor ' +
  'floorDiv gather greater greaterEqual ifft irfft isFinite isInf isNaN leakyRelu less lessEqual ' +
  'localResponseNormalization log log1p logSigmoid logSoftmax logSumExp logicalAnd logicalNot logicalOr ' +
  'logicalXor matMul max maxPool maximum mean min minimum mirrorPad mod mul neg norm notEqual oneHot onesLike ' +
  'pad pool pow prelu prod reciprocal relu relu6 reshape resizeBilinear resizeNearestNeighbor reverse rfft round ' +
  'rsqrt selu separableConv2d sigmoid sign sin sinh slice softmax softplus spaceToBatchND split sqrt square ' +
  'squaredDifference squeeze step stridedSlice sub sum tan tanh tile topk transpose unique unsortedSegmentSum ' +
  'unstack zerosLike';

const { cast, concat, reshape, stack, where } = core;
type Tensor = core.Tensor;

/** Methods with a shape or a type of their own. */
const SPECIAL: Record<string, (self: Tensor, ...args: never[]) => unknown> = {
  asScalar: (self) => reshape(self, []),
  flatten: (self) => reshape(self, [self.size]),
  as1D: (self) => reshape(self, [self.size]),
  as2D: (self, ...shape: number[]) => reshape(self, shape),
  as3D: (self, ...shape: number[]) => reshape(self, shape),
  as4D: (self, ...shape: number[]) => reshape(self, shape),
  as5D: (self, ...shape: number[]) => reshape(self, shape),
  asType: (self, dtype: core.DataType) => cast(self, dtype),
  toBool: (self) => cast(self, 'bool'),
  toFloat: (self) => cast(self, 'float32'),
  toInt: (self) => cast(self, 'int32'),
  reshapeAs: (self, other: Tensor) => reshape(self, other.shape),
  concat: (self, others: Tensor | Tensor[], axis?: number) => concat([self, ...[others].flat()], axis),
  stack: (self, others: Tensor | Tensor[], axis?: number) => stack([self, ...[others].flat()], axis),
  where: (self, condition: Tensor, other: Tensor) => where(condition, self, other),
};

/** Gives tensors their methods. Calling it again changes nothing. */
export function registerChainedOps(): void {
  const methods = core.Tensor.prototype as unknown as Record<string, Operation>;
  const define = (name: string, run: (self: Tensor, ...args: never[]) => unknown): void => {
    if (methods[name] !== undefined) return;
    methods[name] = function (this: Tensor, ...args: unknown[]) {
      this.throwIfDisposed();
      return run(this, ...(args as never[]));
    };
  };
  const homes = [core, core.image, core.spectral] as unknown as Record<string, Operation | undefined>[];
  for (const name of PLAIN.split(' ')) {
    const operation = homes.map((home) => home[name]).find((found) => found !== undefined);
    if (operation) define(name, operation as (self: Tensor, ...args: never[]) => unknown);
  }
  for (const [name, run] of Object.entries(SPECIAL)) define(name, run);
}
