// What assembly/ exports, as TypeScript sees it. Addresses are byte offsets into the heap; a flag is 0 or 1.
// The functions are described where they are defined.

type Flag = boolean | 0 | 1;

export interface Kernels {
  gemmScratchBytes(): number;
  gemmUse(scratch: number): void;
  gemm(
    a: number,
    b: number,
    c: number,
    m: number,
    n: number,
    k: number,
    transposeA: Flag,
    transposeB: Flag,
    accumulate: Flag,
    bias: number,
    relu: Flag,
  ): void;
  gemmBatch(
    batch: number,
    a: number,
    aStride: number,
    b: number,
    bStride: number,
    c: number,
    m: number,
    n: number,
    k: number,
    transposeA: Flag,
    transposeB: Flag,
  ): void;

  convUse(scratch: number, bytes: number): void;
  convShape(...geometry: number[]): void;
  conv(
    x: number,
    filter: number,
    y: number,
    batch: number,
    outChannels: number,
    bias: number,
    relu: Flag,
  ): void;
  convFilterGradient(x: number, dy: number, df: number, batch: number, outChannels: number): void;
  convInputGradient(dy: number, filter: number, dx: number, batch: number, outChannels: number): void;

  copyRows(from: number, fromStep: number, to: number, toStep: number, rows: number, bytes: number): void;

  depthwiseShape(...geometry: number[]): void;
  depthwise(x: number, filter: number, y: number, batch: number): void;
  depthwiseFilterGradient(x: number, dy: number, df: number, batch: number): void;
  depthwiseInputGradient(dy: number, filter: number, dx: number, batch: number): void;

  poolInput(depth: number, height: number, width: number, channels: number): void;
  poolOutput(depth: number, height: number, width: number): void;
  poolWindow(depth: number, height: number, width: number): void;
  poolSteps(
    strideDepth: number,
    strideHeight: number,
    strideWidth: number,
    dilationDepth: number,
    dilationHeight: number,
    dilationWidth: number,
  ): void;
  poolPad(front: number, top: number, left: number): void;
  maxPool(x: number, y: number, batch: number): void;
  maxPoolGradient(x: number, dy: number, dx: number, batch: number): void;
  maxPoolPositions(x: number, positions: number, batch: number, batchInIndex: Flag): void;

  relu(x: number, y: number, size: number): void;
  reluGradient(dy: number, x: number, dx: number, size: number): void;
  clipGradient(dy: number, x: number, dx: number, size: number, low: number, high: number): void;
  sigmoidGradient(dy: number, y: number, dx: number, size: number): void;
  tanhGradient(dy: number, y: number, dx: number, size: number): void;
  binary(
    op: number,
    a: number,
    aStep: number,
    aOne: Flag,
    b: number,
    bStep: number,
    bOne: Flag,
    out: number,
    rows: number,
    columns: number,
  ): void;
  columnSum(x: number, out: number, rows: number, columns: number): void;
  segmentSum(x: number, ids: number, out: number, rows: number, columns: number, segments: number): void;
}
