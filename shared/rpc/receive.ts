// Memory of received messages. grpc-js keeps every piece of a message until the last has come and then copies them
// into fresh memory: 64 blocks of half a megabyte a step, which the kernel must clear and the garbage collector find.
// Here a bulk message is put together in a buffer that was used before, once its size is known; whoever has read
// the payload gives it back with `recycle`, and what nobody gives back the garbage collector takes.
import type { Readable } from 'node:stream';
import { RECEIVE_POOL_MAX_BYTES, RECEIVE_POOLED_MIN_BYTES } from '../limits.js';
import { copyMemory, FRAME_BYTES } from './frame.js';

/** Buffers come in multiples of this, so that blocks whose envelopes differ in length share them. */
const GRAIN_BYTES = 16 * 1024;

const free = new Map<number, ArrayBuffer[]>();
let freeBytes = 0;
/** Memory on its way from `take` to `recycle`. */
const lent = new WeakSet<ArrayBufferLike>();

function take(bytes: number): Buffer {
  if (bytes < RECEIVE_POOLED_MIN_BYTES) return Buffer.allocUnsafe(bytes);
  const capacityBytes = Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES;
  const used = free.get(capacityBytes)?.pop();
  if (used) freeBytes -= capacityBytes;
  const memory = used ?? Buffer.allocUnsafeSlow(capacityBytes).buffer;
  lent.add(memory);
  return Buffer.from(memory as ArrayBuffer, 0, bytes);
}

/**
 * Gives back the memory of a received message, of which `view` is a part: nothing of it may be read after this.
 * Of memory that did not come from here, or was given back before, nothing happens.
 */
export function recycle(view: Uint8Array): void {
  const memory = view.buffer as ArrayBuffer;
  if (!lent.delete(memory) || freeBytes + memory.byteLength > RECEIVE_POOL_MAX_BYTES) return;
  const same = free.get(memory.byteLength);
  if (same) same.push(memory);
  else free.set(memory.byteLength, [memory]);
  freeBytes += memory.byteLength;
}

/** A payload that is to be read later: itself, or where its memory is the kernels' a copy that `recycle` takes back. */
export function keep(payload: Buffer): Buffer {
  const memory: ArrayBufferLike = payload.buffer;
  return memory instanceof SharedArrayBuffer ? copyReceived(payload) : payload;
}

/** A message as if it had been received: in memory that `recycle` takes back. */
export function copyReceived(message: Buffer): Buffer {
  const copy = take(message.length);
  copyMemory(message, copy);
  return copy;
}

/** Puts the messages of one stream together, from pieces of any size. */
export class MessageReader {
  readonly #head = Buffer.alloc(FRAME_BYTES);
  #headBytes = 0;
  #message: Buffer | undefined;
  #at = 0;

  /** @param maxBytes -1: no limit */
  constructor(readonly maxBytes: number) {}

  /** The head that was read last: after a refusal, the one that was refused. */
  get head(): Buffer {
    return Buffer.from(this.#head);
  }

  /**
   * The messages that end in this piece, each with its five bytes of head; they are added to `ended`. Throws Error
   * when one is announced that is larger than the limit.
   */
  write(piece: Buffer, ended: Buffer[] = []): Buffer[] {
    // Nearly all pieces lie within a bulk message.
    if (this.#message && piece.length < this.#message.length - this.#at) {
      this.#message.set(piece, this.#at);
      this.#at += piece.length;
      return ended;
    }
    let at = 0;
    while (at < piece.length) {
      if (!this.#message) {
        while (this.#headBytes < FRAME_BYTES && at < piece.length)
          this.#head[this.#headBytes++] = piece[at++];
        if (this.#headBytes < FRAME_BYTES) break;
        const bytes = this.#head.readUInt32BE(1);
        if (this.maxBytes !== -1 && bytes > this.maxBytes)
          throw new Error(`expected a message of at most ${this.maxBytes} bytes, got one of ${bytes}`);
        this.#message = take(FRAME_BYTES + bytes);
        this.#message.set(this.#head);
        this.#at = FRAME_BYTES;
        this.#headBytes = 0;
      }
      const bytes = Math.min(piece.length - at, this.#message.length - this.#at);
      piece.copy(this.#message, this.#at, at, at + bytes);
      this.#at += bytes;
      at += bytes;
      if (this.#at === this.#message.length) {
        ended.push(this.#message);
        this.#message = undefined;
      }
    }
    return ended;
  }
}

const whole = new WeakSet<Buffer>();

/** Whether this is one whole message in its frame, as a stream of `pushWhole` gave it; asked once of each. */
export function isWhole(piece: Buffer): boolean {
  return whole.delete(piece);
}

/**
 * Makes a stream of gRPC messages push each as one buffer when it is whole. HTTP/2 comes in frames of 16 KiB, and
 * what a Readable and its reader do for each costs more than the copy. The bytes stay what they were, so a reader
 * that knows nothing of this reads the same; and the head of a message above the limit, with all that follows, goes
 * on as it came, for the reader to refuse it.
 */
export function pushWhole(stream: Readable, maxBytes: number): void {
  const reader = new MessageReader(maxBytes);
  const usual = stream.push;
  stream.push = function (this: Readable, piece: Buffer | null) {
    if (piece === null) return usual.call(this, null);
    const ended: Buffer[] = [];
    let refused = false;
    try {
      reader.write(piece, ended);
    } catch {
      refused = true;
    }
    // A message that is under way takes memory once and asks for more of the stream until it is there.
    let wantsMore = true;
    for (const message of ended) {
      whole.add(message);
      wantsMore = usual.call(this, message);
    }
    if (refused) {
      stream.push = usual;
      wantsMore = usual.call(this, reader.head);
    }
    return wantsMore;
  };
}
