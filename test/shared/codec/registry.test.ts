// The registry, and the refusal of envelopes that no encoder of ours would write.
import test from 'ava';
import { CODEC_IDS } from '../../../shared/codec/codec.js';
import { checkPayload, codecById, codecByName, codecNames, codecs } from '../../../shared/codec/registry.js';
import { BLOCK_ELEMENTS_MAX, BLOCK_PAYLOAD_MAX_BYTES } from '../../../shared/limits.js';

test('every codec is found by its name and by its number', (t) => {
  t.deepEqual(codecNames, ['fp32', 'fp16', 'bf16', 'int8', 'topk', 'sign']);
  for (const name of codecNames) {
    t.is(codecs[name].name, name);
    t.is(codecByName(name), codecs[name]);
    t.is(codecById(CODEC_IDS[name]), codecs[name]);
    t.true(codecs[name].payloadBytes(BLOCK_ELEMENTS_MAX) <= BLOCK_PAYLOAD_MAX_BYTES);
  }
});

test('what is no codec is not found', (t) => {
  for (const name of ['', 'FP16', 'toString', '__proto__']) t.is(codecByName(name), undefined);
  for (const id of [0, 7, -1, 1.5, Number.NaN]) t.is(codecById(id), undefined);
});

test('an envelope that the codec would write is accepted', (t) => {
  t.is(checkPayload(codecs.int8, 1030, 5 * 4 + 1030, 1), undefined);
  t.is(checkPayload(codecs.topk, 1030, 4 + 2 + 3 * 11, 2 ** 20), undefined);
  t.is(checkPayload(codecs.sign, 2050, 2 * 4 + 257, 1), undefined);
  t.is(checkPayload(codecs.fp32, 10, 40, 1), undefined);
  t.is(checkPayload(codecs.bf16, BLOCK_ELEMENTS_MAX, 2 * BLOCK_ELEMENTS_MAX, 1), undefined);
  for (const exponent of [-112, -1, 0, 14, 126]) {
    t.is(checkPayload(codecs.fp16, 10, 20, 2 ** exponent), undefined);
  }
});

const refusals: [title: string, reason: string | undefined, wanted: RegExp][] = [
  ['no elements', checkPayload(codecs.fp32, 0, 0, 1), /1 to 262144 elements, this one claims 0/],
  ['too many elements', checkPayload(codecs.fp32, 262_145, 1_048_580, 1), /claims 262145/],
  ['half an element', checkPayload(codecs.fp16, 1.5, 3, 1), /claims 1.5/],
  ['a short payload', checkPayload(codecs.fp16, 10, 18, 1), /10 elements in fp16 has 20 bytes.* has 18/],
  ['a long payload', checkPayload(codecs.fp32, 10, 41, 1), /40 bytes, this one has 41/],
  ['a short int8', checkPayload(codecs.int8, 1030, 1030, 1), /in int8 has 1050 bytes, this one has 1030/],
  ['a long top-k', checkPayload(codecs.topk, 1030, 42, 1), /in topk has 39 bytes, this one has 42/],
  ['a top-k scale', checkPayload(codecs.topk, 1030, 39, 3), /in topk is a power of two .* is 3/],
  ['short signs', checkPayload(codecs.sign, 2050, 257, 1), /in sign has 265 bytes, this one has 257/],
  ['a scale of signs', checkPayload(codecs.sign, 8, 5, 0.5), /in sign is 1, this one is 0.5/],
  ['a scale of int8', checkPayload(codecs.int8, 8, 12, 2), /in int8 is 1, this one is 2/],
  ['a scale where none is used', checkPayload(codecs.bf16, 10, 20, 2), /bf16 is 1, this one is 2/],
  ...[0, -1, 3, Number.NaN, Number.POSITIVE_INFINITY, 2 ** -113, 2 ** 127, 1 + 2 ** -40, 2 ** -149].map(
    (scale): [string, string | undefined, RegExp] => [
      `a scale of ${scale}`,
      checkPayload(codecs.fp16, 10, 20, scale),
      /fp16 is a power of two from 2\^-112 to 2\^126, this one is /,
    ],
  ),
];

for (const [title, reason, wanted] of refusals) {
  test(`${title} is refused with what was expected and what came`, (t) => {
    t.regex(reason ?? 'accepted', wanted);
  });
}
