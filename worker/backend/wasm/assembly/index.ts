// Kernels that run on the heap of the tfjs wasm backend: its memory is imported, nothing is allocated here. All
// arguments that hold addresses are byte offsets into that memory; scratch memory is handed in by `*Use`.
export * from './conv';
export * from './copy';
export * from './depthwise';
export * from './elementwise';
export * from './gemm';
export * from './pool';
