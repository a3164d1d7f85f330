// Residuals: a contribution can be encoded again to the same bytes, and only a step that was applied changes anything.
import test from 'ava';
import { Residuals, residualBytes } from '../../../shared/client/residuals.js';
import { type LossyCodec, NonFiniteError } from '../../../shared/codec/codec.js';
import { lossyCodecNames } from '../../../shared/codec/registry.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../../shared/limits.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { codecsOf, workerMomentum } from '../../../shared/run/block-codecs.js';
import { layoutOf } from '../../../shared/run/spec.js';
import { makeSpec, normals } from '../../helpers/shards.js';

const tensors = [
  { name: 'first', shape: [1500], kind: 'trainable' },
  { name: 'bias', shape: [10], kind: 'trainable' },
  { name: 'second', shape: [2000], kind: 'trainable' },
] as const;

test('residuals take memory where the codec is lossy, and twice that where workers apply the momentum', (t) => {
  const bytes = (changes: Parameters<typeof makeSpec>[0]) => {
    const spec = makeSpec({ tensors, ...changes });
    return residualBytes(spec, layoutOf(spec));
  };
  const modelBytes = 4 * layoutOf(makeSpec({ tensors })).elementsPadded;
  for (const codec of ['fp32', 'fp16', 'bf16'] as const) t.is(bytes({ codec }), 0);
  t.is(bytes({ codec: 'int8' }), 2 * modelBytes);
  t.is(bytes({ codec: 'topk', optimizer: optimizerSpec('sgd', 1) }), 2 * modelBytes);
  t.is(bytes({ codec: 'topk', optimizer: optimizerSpec('momentum', 1) }), 4 * modelBytes);
  t.is(bytes({ codec: 'int8', tensors: [{ name: 'w', shape: [1000], kind: 'trainable' }] }), 0);
});

for (const codec of lossyCodecNames)
  test(`${codec}: the same bytes until the step is applied, whatever is encoded in between`, (t) => {
    const spec = makeSpec({ tensors, codec, optimizer: optimizerSpec('momentum', 1) });
    const layout = layoutOf(spec);
    const codecs = codecsOf(spec, layout.blocks);
    const lossyBytes = residualBytes(spec, layout);
    const kernels = loadKernels({ bytes: lossyBytes + 4 * 4096 + BLOCK_PAYLOAD_MAX_BYTES });
    const arena = new Arena(kernels);
    const memory = arena.alloc(lossyBytes);
    const gradient = arena.alloc(4 * 2048);
    const dst = arena.alloc(BLOCK_PAYLOAD_MAX_BYTES);
    const residuals = new Residuals(kernels, layout, codecs, memory, workerMomentum(spec));
    const encode = (index: number, step: number) => {
      const block = layout.blocks[index];
      const values = normals(block.elements, codec, index, step);
      kernels.f32(gradient, block.elements).set(values);
      const own = codecs[index] as LossyCodec;
      const scale = residuals.encode(own, block, gradient, 1, dst);
      return { scale, payload: Buffer.from(kernels.u8(dst, own.payloadBytes(block.elements))) };
    };
    for (let step = 0; step < 4; step++) {
      const first = encode(0, step);
      const second = encode(2, step);
      t.deepEqual(encode(0, step), first);
      // A step that is skipped: its gradients were others.
      residuals.settle(false);
      encode(0, 100 + step);
      encode(2, 100 + step);
      residuals.settle(false);
      t.deepEqual(encode(0, step), first);
      t.deepEqual(encode(2, step), second);
      // What was encoded before counts now, and only that of these two blocks.
      residuals.settle(true);
      t.notDeepEqual(encode(0, step), first);
      residuals.settle(false);
    }
    // A block that was not sent keeps its residual while the other goes on.
    const kept = encode(2, 7);
    residuals.settle(false);
    encode(0, 7);
    residuals.settle(true);
    t.deepEqual(encode(2, 7), kept);
  });

for (const name of lossyCodecNames)
  test(`${name}: what is said to be encodable is encoded, and nothing else, also at the limit of magnitudes`, (t) => {
    const spec = makeSpec({ tensors, codec: name, optimizer: optimizerSpec('momentum', 1) });
    const layout = layoutOf(spec);
    const codecs = codecsOf(spec, layout.blocks);
    const lossyBytes = residualBytes(spec, layout);
    const kernels = loadKernels({ bytes: lossyBytes + 4 * 4096 + BLOCK_PAYLOAD_MAX_BYTES });
    const arena = new Arena(kernels);
    const memory = arena.alloc(lossyBytes);
    const fresh = () => {
      kernels.u8(memory, lossyBytes).fill(0);
      return new Residuals(kernels, layout, codecs, memory, workerMomentum(spec));
    };
    let residuals = fresh();
    const gradient = arena.alloc(4 * 2048);
    const dst = arena.alloc(BLOCK_PAYLOAD_MAX_BYTES);
    const [block] = layout.blocks;
    const codec = codecs[0] as LossyCodec;
    const counts = { encoded: 0, refused: 0 };
    for (let step = 0; step < 60; step++) {
      // What top-k leaves out of such gradients soon is too large for any other.
      if (step % 4 === 0) residuals = fresh();
      const values = kernels.f32(gradient, block.elements);
      values.set(normals(block.elements, name, step));
      const size = codec.magnitudeLimit / kernels.absmax(gradient, block.elements);
      // Residuals bring some sums above the limit, and keep others below it.
      for (let i = 0; i < values.length; i++) values[i] *= size * (0.3 + 0.1 * (step % 8));
      if (step % 20 === 19) values[step] = Number.NaN;
      const encodable = residuals.encodable(
        codec,
        block,
        gradient,
        kernels.absmax(gradient, block.elements),
        1,
      );
      if (encodable) residuals.encode(codec, block, gradient, 1, dst);
      else t.throws(() => residuals.encode(codec, block, gradient, 1, dst), { instanceOf: NonFiniteError });
      residuals.settle(encodable);
      counts[encodable ? 'encoded' : 'refused']++;
    }
    t.true(counts.encoded > 10 && counts.refused > 2, JSON.stringify(counts));
  });

test('after any number of steps what is known of residuals and velocities tells that all is encodable', (t) => {
  const spec = makeSpec({ tensors, codec: 'topk', optimizer: optimizerSpec('momentum', 1) });
  const layout = layoutOf(spec);
  const codecs = codecsOf(spec, layout.blocks);
  const lossyBytes = residualBytes(spec, layout);
  const kernels = loadKernels({ bytes: lossyBytes + 4 * 4096 + BLOCK_PAYLOAD_MAX_BYTES });
  const arena = new Arena(kernels);
  const memory = arena.alloc(lossyBytes);
  const gradient = arena.alloc(4 * 2048);
  const dst = arena.alloc(BLOCK_PAYLOAD_MAX_BYTES);
  const watched = {
    ...kernels,
    absmaxOfSum: () => t.fail('the sums were looked at') as never,
  };
  const residuals = new Residuals(watched, layout, codecs, memory, workerMomentum(spec));
  const [block] = layout.blocks;
  const codec = codecs[0] as LossyCodec;
  for (let step = 0; step < 500; step++) {
    kernels.f32(gradient, block.elements).set(normals(block.elements, 'bounds', 0, step % 3));
    t.true(residuals.encodable(codec, block, gradient, kernels.absmax(gradient, block.elements), 1));
    residuals.encode(codec, block, gradient, 1, dst);
    residuals.settle(true);
  }
});
