// The heap of the tfjs wasm backend, and our kernels (assembly/) instantiated on it: they import its memory, so no
// value is copied on the way in or out. Here too is the guard on malloc: the stock backend takes the 0 of a failed
// allocation for an address and corrupts the heap in silence.
import { readFileSync } from 'node:fs';
import { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  type DataId,
  type DataType,
  getKernel,
  type KernelFunc,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { RunError } from '../../../shared/errors.js';
import { WASM_PATCHES_BYTES } from '../../../shared/limits.js';
import type { Kernels } from './kernels.js';

/** What we use of the emscripten module inside the backend; its own types leave these out. */
interface EmscriptenModule {
  asm: Record<string, unknown>;
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
}

/** The part of the WebAssembly interface that we use: neither the compiler's libraries nor Node's types have it. */
interface Memory {
  readonly buffer: ArrayBuffer;
}
interface WebAssemblyApi {
  Memory: new (descriptor: { initial: number }) => Memory;
  Module: new (code: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: Memory } }) => { exports: object };
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

const MiB = 1024 * 1024;
const ALIGNMENT_BYTES = 64;

export class Heap {
  readonly kernels: Kernels;
  readonly #backend: BackendWasm;
  readonly #module: EmscriptenModule;
  #patchesBytes = 0;
  #patchesAddress = 0;

  constructor(backend: BackendWasm) {
    this.#backend = backend;
    this.#module = backend.wasm as unknown as EmscriptenModule;
    const memory = this.#module.asm.memory;
    if (!(memory instanceof WebAssembly.Memory)) {
      throw new RunError(
        'the installed @tensorflow/tfjs-backend-wasm exports no memory; install version 4.22, or use --backend cpu',
      );
    }
    guardMalloc(this.#module, memory);
    const code = readFileSync(new URL('./kernels.wasm', import.meta.url));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
    this.kernels = instance.exports as unknown as Kernels;
    this.kernels.gemmUse(this.#scratch(this.kernels.gemmScratchBytes()));
    this.reservePatches(0);
  }

  /** Address of a tensor's first element. Valid until the tensor is disposed of. */
  address(info: { dataId: DataId }): number {
    return this.#backend.dataIdMap.get(info.dataId as object).memoryOffset;
  }

  /** A new tensor with undefined content. */
  make(shape: number[], dtype: DataType = 'float32'): TensorInfo {
    return this.#backend.makeOutput(shape, dtype);
  }

  /** A second handle to the same data under another shape; each is to be released on its own. */
  share(x: TensorInfo, shape: number[] = x.shape): TensorInfo {
    this.#backend.incRef(x.dataId as object);
    return { dataId: x.dataId, shape, dtype: x.dtype };
  }

  /** Gives a handle back that no tensor of the engine stands for. */
  release(info: TensorInfo): void {
    this.#backend.disposeData(info.dataId as object);
  }

  /** Gives one handle back for another. */
  replace(old: TensorInfo, by: TensorInfo): TensorInfo {
    this.release(old);
    return by;
  }

  /** The elements themselves, not a copy: valid until the next allocation, which may move the heap. */
  floats(info: TensorInfo): Float32Array {
    return this.#backend.typedArrayFromHeap(info) as Float32Array;
  }

  /** As `floats`, of an int32 tensor. */
  integers(info: TensorInfo): Int32Array {
    return this.#backend.typedArrayFromHeap(info) as Int32Array;
  }

  /** Runs another kernel of the backend; what it returns is to be released, or returned, by the caller. */
  run(
    kernelName: string,
    inputs: Record<string, TensorInfo>,
    attrs: Record<string, unknown> = {},
  ): TensorInfo {
    const kernel = getKernel(kernelName, 'wasm');
    if (!kernel) throw new Error(`the wasm backend has no kernel ${kernelName}`);
    const args = { inputs, attrs, backend: this.#backend } as unknown as Parameters<KernelFunc>[0];
    return kernel.kernelFunc(args) as TensorInfo;
  }

  /** Makes sure that one patch of a convolution fits into the scratch memory for patches. */
  reservePatches(patchBytes: number): void {
    const bytes = Math.max(patchBytes, WASM_PATCHES_BYTES);
    if (bytes <= this.#patchesBytes) return;
    if (this.#patchesAddress > 0) this.#module._free(this.#patchesAddress);
    this.#patchesAddress = this.#module._malloc(bytes);
    this.#patchesBytes = bytes;
    this.kernels.convUse(this.#patchesAddress, bytes);
  }

  #scratch(bytes: number): number {
    const address = this.#module._malloc(bytes + ALIGNMENT_BYTES) >>> 0;
    return Math.ceil(address / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  }
}

/** Lets a failed allocation throw, and one that reaches past the end of memory (seen near 4 GiB) too. */
function guardMalloc(module: EmscriptenModule, memory: Memory): void {
  // Emscripten's first call replaces the function by the bare export; a wrapper set before that would be lost.
  module._free(module._malloc(1));
  const malloc = module._malloc;
  module._malloc = (bytes) => {
    const address = malloc(bytes) >>> 0;
    const heapBytes = memory.buffer.byteLength;
    if (address !== 0 && address + bytes <= heapBytes) return address;
    throw new RunError(
      `the wasm backend has no room for a tensor of ${Math.ceil(bytes / MiB)} MiB ` +
        `(its heap has ${Math.round(heapBytes / MiB)} of at most 4096 MiB): use a smaller batch or more workers`,
    );
  };
}

const heaps = new WeakMap<BackendWasm, Heap>();

/** The heap of a wasm backend; kernels and guard are put in place at the first call. */
export function heapOf(backend: unknown): Heap {
  if (!(backend instanceof BackendWasm))
    throw new TypeError('heapOf() takes the backend of tfjs-backend-wasm');
  let heap = heaps.get(backend);
  if (heap === undefined) {
    heap = new Heap(backend);
    heaps.set(backend, heap);
  }
  return heap;
}
