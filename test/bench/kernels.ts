// How fast each kernel is, beside its plain twin and beside the memory's own speed. Over 64 MiB of parameters,
// block after block as a server meets them (`wasm`, `plain`), and over one block again and again, in cache
// (`wasmHot`, `plainHot`). `bandwidth` is `wasm` times `bytes`, to be read beside that of the cases `memory` (a copy)
// and `memoryInPlace` (a copy onto itself: a line that is overwritten unread costs a read that nobody counts).
import { performance } from 'node:perf_hooks';
import { Arena } from '../../shared/kernels/arena.js';
import type { Kernels } from '../../shared/kernels/kernels.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { philox } from '../../shared/random.js';
import { adamAt, type Block, cases } from './kernel-cases.js';
import { topkServer } from './lossy-kernel-cases.js';
import { type BenchOptions, type Result, summarize } from './result.js';

/** 16 KiB of each array: all that a piece needs fits into the first two levels of cache. */
const PIECE_ELEMENTS = 4096;

/** A server's work on a block of two workers, in pieces of `piece` elements: decode, add, step; then encode. */
function serve(k: Kernels, b: Block, n: number, piece: number): void {
  for (let from = 0; from < n; from += piece) {
    const count = Math.min(piece, n - from);
    const at = 4 * from;
    k.unpackF16(b.halves + 2 * from, count, 1 / 256, b.gradient + at);
    k.addF16(b.halves + 2 * from, count, 1 / 256, b.gradient + at);
    adamAt(
      k,
      { param: b.param + at, slot1: b.slot1 + at, slot2: b.slot2 + at, gradient: b.gradient + at },
      count,
    );
  }
  k.packF16(b.param, n, 256, b.halves);
}

function makeBlocks(kernels: Kernels, blocks: number, n: number): Block[] {
  const arena = new Arena(kernels);
  const counter = new Uint32Array(4);
  return Array.from({ length: blocks }, (_, index) => {
    const [param, slot1, slot2, gradient] = [0, 0, 0, 0].map(() => arena.alloc(n * 4));
    const halves = arena.alloc(n * 2);
    const views = {
      param: kernels.f32(param, n),
      slot1: kernels.f32(slot1, n),
      slot2: kernels.f32(slot2, n),
      gradient: kernels.f32(gradient, n),
      halves: kernels.u16(halves, n),
    };
    for (let i = 0; i < n; i++) {
      counter.set([i, index, 0, 0]);
      philox(counter, 1, 2);
      views.param[i] = counter[0] / 2 ** 32 - 0.5;
      views.slot1[i] = counter[1] / 2 ** 32 - 0.5;
      views.slot2[i] = counter[2] / 2 ** 32;
      views.gradient[i] = counter[3] / 2 ** 32 - 0.5;
    }
    kernels.packF16(gradient, n, 256, halves);
    return { param, slot1, slot2, gradient, halves, views };
  });
}

/** Millions of elements a second of each way, taking turns so that a slow moment hits all of them. */
function rates(
  ways: Record<string, () => void>,
  elements: number,
  repeats: number,
): Record<string, number[]> {
  const measured: Record<string, number[]> = {};
  for (let repeat = -1; repeat < repeats; repeat++) {
    for (const [name, way] of Object.entries(ways)) {
      const start = performance.now();
      way();
      const seconds = (performance.now() - start) / 1000;
      measured[name] ??= [];
      // The first round warms up.
      if (repeat >= 0) measured[name].push(elements / seconds / 1e6);
    }
  }
  return measured;
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: BenchOptions): Promise<Result[]> {
  const n = options.small ? 4 * PIECE_ELEMENTS : BLOCK_ELEMENTS_MAX;
  const count = options.small ? 2 : 64;
  const kernels = loadKernels({ bytes: count * (n * 18 + 320) });
  const blocks = makeBlocks(kernels, count, n);
  const [hot] = blocks;
  const hotTurns = Math.max(1, count >> 2);
  const again = (work: () => void) => () => {
    for (let turn = 0; turn < hotTurns; turn++) work();
  };
  const results: Result[] = [];
  const add = (name: string, bytesPerElement: number, ways: Record<string, () => void>): void => {
    const bytes: number[] = [bytesPerElement];
    for (const [metric, values] of Object.entries(rates(ways, count * n, options.repeats))) {
      const scaled = metric.endsWith('Hot') ? values.map((value) => (value * hotTurns) / count) : values;
      results.push(summarize('kernels', name, metric, 'Melements/s', scaled));
      if (metric === Object.keys(ways)[0]) {
        const gigabytes = values.map((value) => (value * bytesPerElement) / 1000);
        results.push(summarize('kernels', name, 'bandwidth', 'GB/s', gigabytes));
      }
    }
    results.push(summarize('kernels', name, 'bytes', 'bytes/element', bytes));
  };

  add('memory', 8, {
    copy: () => {
      for (const block of blocks) kernels.copyBytes(block.param, 4 * n, block.gradient);
    },
    copyHot: again(() => kernels.copyBytes(hot.param, 4 * n, hot.gradient)),
  });
  add('memoryInPlace', 8, {
    scale: () => {
      for (const block of blocks) kernels.scaleF32(block.param, n, 1, block.param);
    },
  });
  for (const { name, bytesPerElement, wasm, plain, loop } of cases) {
    add(name, bytesPerElement, {
      wasm: () => {
        for (const block of blocks) wasm(kernels, block, n);
      },
      plain: () => {
        for (const block of blocks) plain(block.views);
      },
      ...(loop && {
        loop: () => {
          for (const block of blocks) loop(block.views);
        },
      }),
      wasmHot: again(() => wasm(kernels, hot, n)),
      plainHot: again(() => plain(hot.views)),
    });
  }
  const pieces = { whole: n, pieces: PIECE_ELEMENTS };
  const ways = Object.entries(pieces).map(([metric, piece]): [string, () => void] => [
    metric,
    () => {
      for (const block of blocks) serve(kernels, block, n, piece);
    },
  ]);
  add('serve', 52, Object.fromEntries(ways));
  const servers = blocks.map((block) => topkServer(kernels, block, n));
  add('serveTopK', 32, {
    passes: () => {
      for (const { passes } of servers) passes();
    },
    lists: () => {
      for (const { lists } of servers) lists();
    },
  });
  return results;
}
