// Rows as they travel: what comes back is within the codec's rounding, each row by itself, so its bytes do not depend
// on the rows beside it; what was decoded encodes to the same bytes again; and bad exponents are refused.
import test from 'ava';
import fc from 'fast-check';
import {
  decodeRows,
  encodeRows,
  ROW_CODECS,
  type RowCodecName,
  rowMagnitudeLimit,
  rowsPayloadBytes,
} from '../../../shared/rows/row-codec.js';

/** Rows of one width, of magnitudes that are far apart. */
const rowsArbitrary = fc.integer({ min: 1, max: 19 }).chain((width) =>
  fc.record({
    width: fc.constant(width),
    rows: fc.array(
      fc.tuple(
        fc.integer({ min: -30, max: 30 }),
        fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: width, maxLength: width }),
      ),
      { minLength: 1, maxLength: 12 },
    ),
  }),
);

/** Relative to the largest magnitude of a row (fp16) or to each element (bf16). */
const ERROR: Record<RowCodecName, number> = { fp32: 0, fp16: 2 ** -11, bf16: 2 ** -8 };

function decoded(codec: RowCodecName, payload: Uint8Array, rows: number, width: number): Float32Array {
  const out = new Float32Array(rows * width);
  const fault = decodeRows(codec, payload, width, out);
  if (fault) throw new Error(fault);
  return out;
}

for (const codec of ROW_CODECS)
  test(`${codec}: rows come back, each as if it were alone, and to the same bytes again`, (t) => {
    fc.assert(
      fc.property(rowsArbitrary, ({ width, rows }) => {
        const values = Float32Array.from(
          rows.flatMap(([exponent, row]) => row.map((value) => value * 2 ** exponent)),
        );
        const payload = encodeRows(codec, values, width);
        t.is(payload.length, rowsPayloadBytes(codec, rows.length, width));
        const back = decoded(codec, payload, rows.length, width);
        for (let row = 0; row < rows.length; row++) {
          const own = values.subarray(row * width, (row + 1) * width);
          const alone = decoded(codec, encodeRows(codec, own, width), 1, width);
          t.deepEqual(alone, back.slice(row * width, (row + 1) * width));
          const most = Math.max(...own.map(Math.abs));
          for (let k = 0; k < width; k++) {
            // Below fp32's normal numbers bf16 has fewer bits.
            const bound = (codec === 'fp16' ? most : Math.abs(own[k])) * ERROR[codec] + 2 ** -133;
            if (!(Math.abs(back[row * width + k] - own[k]) <= bound))
              t.fail(`${codec} ${own[k]} came back as ${back[row * width + k]}`);
          }
        }
        t.deepEqual(encodeRows(codec, back, width), payload);
      }),
      { seed: 11, numRuns: 200 },
    );
  });

test('a payload may lie at any address', (t) => {
  const values = Float32Array.from({ length: 35 }, (_, i) => i - 17.3);
  for (const codec of ROW_CODECS) {
    const payload = encodeRows(codec, values, 7);
    const shifted = Buffer.concat([Buffer.alloc(3), payload]).subarray(3);
    t.deepEqual(decoded(codec, shifted, 5, 7), decoded(codec, payload, 5, 7));
  }
});

test('an exponent that no encoder gives is refused, and magnitudes beyond the limit have none', (t) => {
  const payload = encodeRows('fp16', new Float32Array([1, 2]), 2);
  payload.writeInt8(-113, payload.length - 1);
  t.regex(decodeRows('fp16', payload, 2, new Float32Array(2)) ?? '', /from -112 to 126, got -113/);
  payload.writeInt8(127, payload.length - 1);
  t.regex(decodeRows('fp16', payload, 2, new Float32Array(2)) ?? '', /got 127/);
  for (const codec of ROW_CODECS) t.true(rowMagnitudeLimit(codec) > 2 ** 126);
  const large = Math.fround(rowMagnitudeLimit('fp16') * (1 - 2 ** -20));
  t.true(decoded('fp16', encodeRows('fp16', new Float32Array([large]), 1), 1, 1).every(Number.isFinite));
});
