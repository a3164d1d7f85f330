// Memory of bulk messages on their way. A message is made in the frame that goes onto the wire, in a buffer that is
// used again when the message has been written: fresh ones of this size keep the garbage collector busy for a fifth
// of an exchange. And copies between messages and the kernels' memory, which is shared between threads.

/** A gRPC frame begins with a byte that says whether it is compressed, and four of length. */
export const FRAME_BYTES = 5;
/** Source and target of a copy lie alike to this: it is faster than where they don't. */
const WORD_BYTES = 8;

/** Bytes that a target for `stagePayload` needs beyond the payload. */
export const STAGE_SPARE_BYTES = WORD_BYTES;

/**
 * Copies bytes to a target of the same length. To and from memory that threads share, `set` goes by atomic words;
 * filling a buffer with another is one memcpy, and here nobody else is at that memory.
 */
export function copyMemory(source: Uint8Array, target: Uint8Array): void {
  if (source.byteLength !== target.byteLength)
    throw new Error(`expected ${target.byteLength} bytes to copy, got ${source.byteLength}`);
  if (source.byteLength > 0) Buffer.prototype.fill.call(target, source);
}

/** Copies a payload to where kernels can read it, at `room` or a few bytes on, and returns the address. */
export function stagePayload(
  memory: { u8(at: number, bytes: number): Uint8Array },
  payload: Uint8Array,
  room: number,
): number {
  const address = room + ((payload.byteOffset - room) & (WORD_BYTES - 1));
  copyMemory(payload, memory.u8(address, payload.byteLength));
  return address;
}

/** A message that is ready for the wire. */
export class Framed {
  #users = 1;

  constructor(
    /** A whole gRPC frame: FRAME_BYTES, then the message. */
    readonly framed: Buffer,
    readonly pool: FramePool,
    private readonly whole: Buffer,
  ) {}

  get message(): Buffer {
    return this.framed.subarray(FRAME_BYTES);
  }

  /** So many more will release it. */
  share(users: number): void {
    this.#users += users;
  }

  /** It has been written (copied, or handed to the kernel); after the last release it must not be read. */
  release(): void {
    this.#users--;
    if (this.#users === 0) this.pool.give(this.whole);
  }
}

/** Buffers of the messages of a run, as many as are on their way at a time. */
export class FramePool {
  readonly #free: Buffer[] = [];
  #largestBytes = 0;

  /** Room for a message of `messageBytes`, `before` of them in front of a copy of `payload`; its length is written. */
  frame(messageBytes: number, before: number, payload: Uint8Array): Framed {
    const spare = (payload.byteOffset - FRAME_BYTES - before) & (WORD_BYTES - 1);
    const whole = this.#take(WORD_BYTES + FRAME_BYTES + messageBytes);
    const framed = whole.subarray(spare, spare + FRAME_BYTES + messageBytes);
    framed[0] = 0;
    framed.writeUInt32BE(messageBytes, 1);
    return new Framed(framed, this, whole);
  }

  give(whole: Buffer): void {
    if (whole.byteLength === this.#largestBytes) this.#free.push(whole);
  }

  #take(bytes: number): Buffer {
    if (bytes > this.#largestBytes) {
      this.#largestBytes = bytes;
      this.#free.length = 0;
    }
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#largestBytes);
  }
}
