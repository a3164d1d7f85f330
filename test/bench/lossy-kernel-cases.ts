// The lossy codecs' cases of the bench of the kernels: encoding on the way up (a gradient with its residual) and on the
// way down (the difference to what the workers hold), and decoding into a sum.
import { type Kernels, MARKS_BYTES } from '../../shared/kernels/kernels.js';
import * as int8 from '../../shared/kernels/plain/int8.js';
import * as sign from '../../shared/kernels/plain/sign.js';
import * as topk from '../../shared/kernels/plain/topk.js';
import type { Block, Case } from './kernel-cases.js';

const PERCENT = 1;
const MOMENTUM = 0.9;
/** Small, so that what is added again and again stays of the size that it has. */
const WEIGHT = 2 ** -20;
const SCALE = 256;

const upAt = (b: Block, n: number) => ({
  gradient: b.gradient,
  residual: b.slot1,
  elements: n,
  factor: 1,
  dst: b.halves,
  next: b.param,
});

const downAt = (b: Block, n: number) => ({ values: b.gradient, held: b.slot1, elements: n, dst: b.halves });

/** A payload fits into an eighth of the room of the halves, what the selection works in into the rest. */
const selectionAt = (b: Block, n: number) => ({ work: b.halves + n / 4, bytes: 2 * n - n / 4 });

const kOf = (n: number) => Math.ceil((n * PERCENT) / 100);

/** The bytes of the halves: room for the payloads of the lossy codecs. */
const bytesOf = ({ halves }: Block['views']) =>
  new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);

/** A payload that begins with a number for each group of so many elements. */
function groupsOf(views: Block['views'], groupElements: number) {
  const { buffer, byteOffset, length } = views.halves;
  const groups = Math.ceil(length / groupElements);
  const numbers = new Float32Array(buffer, byteOffset, groups);
  return { numbers, at: byteOffset + 4 * groups, buffer, length };
}

function int8Views(views: Block['views']): [Float32Array, Int8Array] {
  const { numbers, at, buffer, length } = groupsOf(views, int8.INT8_GROUP_ELEMENTS);
  return [numbers, new Int8Array(buffer, at, length)];
}

function signViews(views: Block['views']): [Float32Array, Uint8Array] {
  const { numbers, at, buffer, length } = groupsOf(views, sign.SIGN_GROUP_ELEMENTS);
  return [numbers, new Uint8Array(buffer, at, length / 8)];
}

function packTopK(k: Kernels, b: Block, n: number): void {
  const step = { ...upAt(b, n), ...selectionAt(b, n) };
  // The next velocity lies over the velocity, which costs a miss less for each line than it does in training.
  const velocity = { momentum: MOMENTUM, velocity: b.slot2, nextVelocity: b.slot2 };
  k.gatherTopK(step, kOf(n), velocity);
  k.packTopK(step, kOf(n), SCALE, velocity);
}

/** A server's work on a block of one worker with top-k, once it has been made ready: as lists, or in passes over it. */
export function topkServer(k: Kernels, b: Block, n: number): { lists: () => void; passes: () => void } {
  const count = kOf(n);
  const marks = b.slot2;
  // The lists take less than an array.
  const acc = marks + MARKS_BYTES;
  const dst = b.halves + n / 8;
  const room = { work: b.halves + n / 4, bytes: 2 * n - n / 4 };
  // What is sent, again and again; then the workers hold what the server has.
  const gradient = { gradient: b.gradient, residual: b.slot1, elements: n, factor: 1 };
  const step = { ...gradient, dst: b.halves, next: b.param, ...room };
  k.gatherTopK(step, count);
  k.packTopK(step, count, SCALE);
  k.copyBytes(b.param, 4 * n, b.slot1);
  k.forgetMarks(marks, true);
  const sgd = { param: b.param, gradient: b.gradient, elements: n, gradientScale: 1, learningRate: WEIGHT };
  const pair = { values: b.param, held: b.slot1, elements: n, dst, ...room };
  const few = { ...pair, acc, marks };
  return {
    lists: () => {
      k.addMarkedTopK(b.halves, n, count, 1 / SCALE, acc, marks, true);
      k.sgdMarked({ ...sgd, gradient: acc }, marks);
      k.gatherMarkedTopK(few, count);
      k.packMarkedTopK(few, count, SCALE);
    },
    passes: () => {
      k.unpackTopK(b.halves, n, count, 1 / SCALE, b.gradient, room.work);
      k.sgd(sgd);
      k.gatherDifferenceTopK(pair, count);
      k.packDifferenceTopK(pair, count, SCALE);
    },
  };
}

export function lossyCases(): Case[] {
  return [
    {
      name: 'packI8',
      bytesPerElement: 13,
      wasm: (k, b, n) => k.packI8(upAt(b, n)),
      plain: (v) => int8.packI8(v.gradient, v.slot1, 1, ...int8Views(v), v.param),
    },
    {
      name: 'packDifferenceI8',
      bytesPerElement: 13,
      wasm: (k, b, n) => k.packDifferenceI8(downAt(b, n)),
      plain: (v) => int8.packDifferenceI8(v.gradient, v.slot1, ...int8Views(v)),
    },
    {
      name: 'addI8',
      bytesPerElement: 9,
      wasm: (k, b, n) => k.addI8(b.halves, n, WEIGHT, b.gradient),
      plain: (v) => int8.addI8(...int8Views(v), WEIGHT, v.gradient),
    },
    {
      name: 'packSign',
      bytesPerElement: 12.1,
      wasm: (k, b, n) => k.packSign(upAt(b, n)),
      plain: (v) => sign.packSign(v.gradient, v.slot1, 1, ...signViews(v), v.param),
    },
    {
      name: 'packDifferenceSign',
      bytesPerElement: 12.1,
      wasm: (k, b, n) => k.packDifferenceSign(downAt(b, n)),
      plain: (v) => sign.packDifferenceSign(v.gradient, v.slot1, ...signViews(v)),
    },
    {
      name: 'addSign',
      bytesPerElement: 8.1,
      wasm: (k, b, n) => k.addSign(b.halves, n, WEIGHT, b.gradient),
      plain: (v) => sign.addSign(...signViews(v), WEIGHT, v.gradient),
    },
    {
      name: 'packTopK',
      bytesPerElement: 20,
      wasm: packTopK,
      plain: (v) => {
        const correction = { momentum: MOMENTUM, velocity: v.slot2, nextVelocity: v.slot2 };
        topk.packTopK(v.gradient, v.slot1, 1, kOf(v.param.length), SCALE, v.param, correction);
      },
    },
    {
      name: 'packDifferenceTopK',
      bytesPerElement: 8,
      wasm: (k, b, n) => {
        const step = { ...downAt(b, n), ...selectionAt(b, n) };
        k.gatherDifferenceTopK(step, kOf(n));
        k.packDifferenceTopK(step, kOf(n), SCALE);
      },
      plain: (v) => topk.packDifferenceTopK(v.gradient, v.slot1, kOf(v.param.length), SCALE),
    },
    {
      name: 'unpackTopK',
      bytesPerElement: 4,
      wasm: (k, b, n) => {
        k.unpackTopK(b.halves, n, kOf(n), WEIGHT, b.gradient, selectionAt(b, n).work);
      },
      plain: (v) => topk.unpackTopK(bytesOf(v), WEIGHT, v.gradient),
    },
  ];
}
