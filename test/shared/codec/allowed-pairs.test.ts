// The table of codecs, optimizers and consistencies: what it allows, and that the README shows it as it is.
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { codecFault, pairFault, pairTable } from '../../../shared/codec/allowed-pairs.js';
import { codecNames, directCodecNames, lossyCodecNames } from '../../../shared/codec/registry.js';
import { OPTIMIZERS, optimizerSpec } from '../../../shared/optimizer/spec.js';
import { membershipService } from '../../../shared/rpc/proto.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import { blockCodec, blockOptimizer, workerMomentum } from '../../../shared/run/block-codecs.js';
import type { RunSpec } from '../../../shared/run/spec.js';
import { fromWire, toWire } from '../../../shared/run/wire.js';
import { makeSpec } from '../../helpers/shards.js';

/** A spec as a server reads it off the wire. */
function received(spec: RunSpec): RunSpec {
  const { requestSerialize, requestDeserialize } = membershipService.Work;
  const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
  return fromWire(report.hello?.spec ?? null);
}

test('codecs that round each element by itself go with everything', (t) => {
  for (const codec of directCodecNames)
    for (const optimizer of [...OPTIMIZERS, 'another'])
      for (const consistency of ['bsp', 'ssp', 'asp', 'local'])
        t.is(pairFault(codec, optimizer, consistency), undefined);
});

test('int8 goes with every optimizer, top-k and sign with those that are linear in the gradient', (t) => {
  for (const optimizer of OPTIMIZERS) t.is(pairFault('int8', optimizer, 'bsp'), undefined);
  for (const codec of ['topk', 'sign'] as const) {
    for (const optimizer of ['sgd', 'momentum']) t.is(pairFault(codec, optimizer, 'bsp'), undefined);
    t.regex(
      pairFault(codec, 'adam', 'bsp') ?? '',
      new RegExp(
        `^codec ${codec} expects optimizer sgd or momentum, got adam: .* second moment.*; take one of them`,
      ),
    );
  }
});

test('lossy codecs go with bsp alone, and say why', (t) => {
  for (const codec of lossyCodecNames)
    for (const consistency of ['ssp', 'asp', 'local'])
      t.regex(
        pairFault(codec, 'sgd', consistency) ?? '',
        consistency === 'local'
          ? /expects consistency bsp, got local: under local the parameters/
          : /expects consistency bsp( or local)?, got .*: new parameters/,
      );
});

test('a lossy codec is refused under ssp and asp by whoever reads the spec', (t) => {
  for (const codec of lossyCodecNames)
    for (const consistency of ['ssp', 'asp'] as const) {
      const staleness = consistency === 'ssp' ? { staleness: 2 } : {};
      const spec = makeSpec({ codec, optimizer: optimizerSpec('sgd', 0.1), consistency, ...staleness });
      t.is(t.throws(() => received(spec), { instanceOf: Refused }).label, 'codec_pair');
    }
});

test('top-k and sign refuse what is not linear in the gradient, and top-k what would miss the momentum', (t) => {
  const sgd = optimizerSpec('sgd', 0.1);
  const momentum = optimizerSpec('momentum', 0.1);
  for (const codec of ['topk', 'sign'] as const) {
    t.regex(codecFault(codec, { ...sgd, clipValue: 1 }, 'bsp') ?? '', /expects no clipping by value, got 1/);
    t.regex(codecFault(codec, { ...sgd, clipNorm: 1 }, 'bsp') ?? '', /expects no clipping by norm, got 1/);
    t.is(codecFault(codec, { ...sgd, l1: 1e-4, l2: 1e-4 }, 'bsp'), undefined);
  }
  for (const rules of [{ l1: 1e-4 }, { l2: 1e-4 }, { groups: [{ match: '*', l2: 1e-4 }] }]) {
    t.regex(codecFault('topk', { ...momentum, ...rules }, 'bsp') ?? '', /momentum without l1 and l2/);
    t.is(codecFault('sign', { ...momentum, ...rules }, 'bsp'), undefined);
    t.is(codecFault('int8', { ...momentum, ...rules, clipValue: 1, clipNorm: 1 }, 'bsp'), undefined);
  }
});

test('what the servers run where workers apply the momentum keeps schedule and groups', (t) => {
  const rules = {
    schedule: { kind: 'cosine', warmupSteps: 2, decaySteps: 5, decayEnd: 0 },
    groups: [{ match: 'out/*', learningRateScale: 0.1 }],
  } as const;
  const optimizer = { ...optimizerSpec('momentum', 0.1), ...rules };
  t.deepEqual(blockOptimizer(optimizer, 'topk', { kind: 'trainable', elements: 5000 }), {
    kind: 'sgd',
    learningRate: 0.1,
    ...rules,
  });
});

test('a spec with a pair that is not allowed is refused with a code of its own', (t) => {
  for (const codec of ['topk', 'sign'] as const) {
    const spec = makeSpec({ codec, optimizer: optimizerSpec('adam', 0.1) });
    const error = t.throws(() => received(spec), { instanceOf: Refused });
    t.is(error.label, 'codec_pair');
  }
});

test('top-k takes the momentum to the workers, and refuses that of Nesterov', (t) => {
  const large = { kind: 'trainable', elements: 5000 } as const;
  const momentum = optimizerSpec('momentum', 0.1);
  const sgd = optimizerSpec('sgd', 0.1);
  t.is(workerMomentum({ codec: 'topk', optimizer: momentum }), 0.9);
  t.deepEqual(blockOptimizer(momentum, 'topk', large), sgd);
  // What travels exactly keeps the server's momentum.
  t.is(blockOptimizer(momentum, 'topk', { ...large, elements: 1000 }), momentum);
  for (const codec of codecNames) {
    if (codec !== 'topk') t.is(blockOptimizer(momentum, codec, large), momentum);
    t.is(workerMomentum({ codec, optimizer: sgd }), undefined);
  }
  const nesterov = { ...momentum, nesterov: true } as typeof momentum;
  const error = t.throws(() => received(makeSpec({ codec: 'topk', optimizer: nesterov })), {
    instanceOf: Refused,
  });
  t.is(error.label, 'codec_pair');
});

test('a top-k percentage that cannot be is refused', (t) => {
  for (const topKPercent of [0, -1, 25.1, Number.NaN]) {
    const spec: RunSpec = makeSpec({ codec: 'topk', optimizer: optimizerSpec('sgd', 0.1), topKPercent });
    const error = t.throws(() => received(spec), { instanceOf: Refused });
    t.regex(error.message, /percentage above 0 and at most 25, got/);
  }
});

test('small blocks, state and frozen tensors are exact whatever the codec', (t) => {
  for (const codec of codecNames) {
    t.is(blockCodec(codec, { kind: 'state', elements: 100_000 }), 'fp32');
    t.is(blockCodec(codec, { kind: 'frozen', elements: 100_000 }), 'fp32');
    t.is(blockCodec(codec, { kind: 'trainable', elements: 1024 }), codec);
  }
  for (const codec of lossyCodecNames) t.is(blockCodec(codec, { kind: 'trainable', elements: 1023 }), 'fp32');
  for (const codec of directCodecNames) t.is(blockCodec(codec, { kind: 'trainable', elements: 1 }), codec);
});

test('the README shows the table', async (t) => {
  const readme = await readFile(new URL('../../../../README.md', import.meta.url), 'utf8');
  const [, after] = readme.split('<!-- codec pairs -->\n\n');
  const shown = after
    .slice(0, after.indexOf('\n\n'))
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  t.deepEqual([shown[0], ...shown.slice(2)], pairTable(codecNames));
});
