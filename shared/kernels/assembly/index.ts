// The numeric kernels as one WebAssembly module. Every pointer is a byte address in the imported shared
// memory, every count is in elements; no alignment is asked for. The host owns the layout of the memory:
// nothing here allocates, and everything from `firstFreeByte` up is the host's.
// Each kernel has a plain twin in ../plain/ that gives the same bits.

export { addBf16, addF16, addF32, copyBytes, scaleF32 } from './accumulate';
export { adagrad, rmsprop } from './adaptive';
export { xxh64 } from './checksum';
export { packBf16, packF16, unpackBf16, unpackF16 } from './convert';
export { adamw, lambDirection, lion } from './decoupled';
export { adam, momentum, sgd } from './optimize';
export { prepareGradient } from './prepare';
export { absmaxBits, halvesBelow, sumOfSquares } from './reduce';
export { absmaxOfSumBits, addI8, packDifferenceI8, packI8, packRandomI8, unpackI8 } from './int8';
export { packRowsF16, unpackRowsF16 } from './rows';
export { addSign, packDifferenceSign, packSign, unpackSign } from './sign';
export { gatherTopK, packTopK } from './topk';
export { addMarkedTopK, expandMarked, forgetMarks, gatherMarkedTopK, packMarkedTopK, sgdMarked } from './topk-marked';
export { addTopK, faultTopK, unpackTopK } from './topk-payload';

/** The first address that the module itself never touches. */
export function firstFreeByte(): usize {
  return __heap_base;
}
