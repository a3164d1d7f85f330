// A run's spec comes back from its wire form as it was.
import test from 'ava';
import { membershipService } from '../../shared/rpc/proto.js';
import { fromWire, optimizerSpec, specDifference, toWire } from '../../shared/run-spec.js';
import { makeSpec } from '../helpers/shards.js';

test('a spec over a lossy codec survives the wire, with the percentage of top-k', (t) => {
  for (const changes of [
    { codec: 'int8' },
    { codec: 'int8', stochasticRounding: true },
    { codec: 'topk', topKPercent: 0.1, optimizer: optimizerSpec('sgd', 0.1) },
    { codec: 'sign', optimizer: optimizerSpec('momentum', 0.1) },
  ] as const) {
    const spec = makeSpec(changes);
    const { requestSerialize, requestDeserialize } = membershipService.Work;
    const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
    t.deepEqual(fromWire(report.hello?.spec ?? null), spec);
  }
  const topk = makeSpec({ codec: 'topk', topKPercent: 0.1 });
  t.regex(
    specDifference(topk, { ...topk, topKPercent: undefined })?.message ?? '',
    /top-k percentage is 0.1, got 1/,
  );
});

for (const kind of ['sgd', 'momentum', 'adam'] as const)
  for (const codec of ['fp32', 'fp16', 'bf16'] as const)
    test(`a spec with ${kind} over ${codec} survives the wire`, (t) => {
      const spec = makeSpec({ optimizer: optimizerSpec(kind, 0.003), codec, seed: -5 });
      const { requestSerialize, requestDeserialize } = membershipService.Work;
      const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
      t.deepEqual(fromWire(report.hello?.spec ?? null), spec);
      t.is(specDifference(spec, fromWire(report.hello?.spec ?? null)), undefined);
    });
