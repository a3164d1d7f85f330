// The little of WebAssembly's interface that the kernels use. Its types ship only with the browser's library,
// whose global names (`name`, `event`) a program of Node is better off without.

/** A shared memory: its buffer is the same in every thread it is sent to. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

export type WasmModule = object;

interface WebAssemblyNamespace {
  Module: new (code: Uint8Array) => WasmModule;
  Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory;
  Instance: new (
    code: WasmModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { exports: Record<string, (...numbers: number[]) => number> };
}

export const wasm = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly;
