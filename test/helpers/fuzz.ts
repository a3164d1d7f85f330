// What fuzz tests share: how often, and bytes that are almost right.
import fc from 'fast-check';

/** Tens of thousands of cases; GRADLOOM_FUZZ_RUNS asks for another number, e.g. millions by hand. */
export const FUZZ_RUNS = Number(process.env.GRADLOOM_FUZZ_RUNS ?? 20_000);

/** Parameters of fast-check: the same cases every time, unless another number of them is asked for. */
export const fuzzed = (share = 1) => ({
  seed: 20_261_121,
  numRuns: Math.ceil(FUZZ_RUNS * share),
  endOnFailure: true,
});

type Change = { kind: 'flip' | 'cut' | 'insert' | 'repeat'; at: number; byte: number };

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'insert', 'repeat'),
  at: fc.nat(),
  byte: fc.nat(255),
});

function changed(bytes: Buffer, { kind, at, byte }: Change): Buffer {
  if (bytes.length === 0) return Buffer.from([byte]);
  const place = at % bytes.length;
  if (kind === 'cut') return bytes.subarray(0, place);
  if (kind === 'insert')
    return Buffer.concat([bytes.subarray(0, place), Buffer.from([byte]), bytes.subarray(place)]);
  if (kind === 'repeat') return Buffer.concat([bytes, bytes.subarray(place)]);
  const copy = Buffer.from(bytes);
  copy[place] ^= byte || 1;
  return copy;
}

/** One of these messages with a few changes, or bytes that never were one. */
export function almost(messages: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom(...messages), fc.array(change, { minLength: 1, maxLength: 4 }))
        .map(([message, changes]) => changes.reduce(changed, message)),
    },
  );
}

/** A number of the kinds that break things, within what a field of the proto can carry. */
export const oddNumber = fc.oneof(
  fc.nat(5),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 40, Number.MAX_SAFE_INTEGER),
);
/** The same for float and double fields. */
export const oddFloat = fc.oneof(
  fc.constantFrom(0, 1, -1, 0.5, 1e-300, 1e300, Number.NaN, Infinity, -Infinity),
  fc.double(),
);
