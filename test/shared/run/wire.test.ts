// A run's spec comes back from its wire form as it was.
import test from 'ava';
import { CONSISTENCIES } from '../../../shared/config/options/exchange.js';
import { BATCH_MAX_SAMPLES, EPOCHS_MAX } from '../../../shared/limits.js';
import { OPTIMIZERS, type OptimizerSpec, optimizerSpec } from '../../../shared/optimizer/spec.js';
import { membershipService, packageDefinition } from '../../../shared/rpc/proto.js';
import { RefusalCode, Refused } from '../../../shared/rpc/refusal.js';
import { specDifference } from '../../../shared/run/difference.js';
import { CONSISTENCY_IDS, outerOptimizer, type RunSpec } from '../../../shared/run/spec.js';
import { fromWire, toWire } from '../../../shared/run/wire.js';
import { makeSpec } from '../../helpers/shards.js';

/** A spec as the keeper reads what a worker sent. */
function overTheWire(spec: RunSpec): RunSpec {
  const { requestSerialize, requestDeserialize } = membershipService.Work;
  const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
  return fromWire(report.hello?.spec ?? null);
}

test('a spec over a lossy codec survives the wire, with the percentage of top-k', (t) => {
  for (const changes of [
    { codec: 'int8' },
    { codec: 'int8', stochasticRounding: true },
    { codec: 'topk', topKPercent: 0.1, optimizer: optimizerSpec('sgd', 0.1) },
    { codec: 'topk', topKPercent: 0.1, topKWarmupSteps: 500, optimizer: optimizerSpec('sgd', 0.1) },
    { codec: 'sign', optimizer: optimizerSpec('momentum', 0.1) },
  ] as const) {
    const spec = makeSpec(changes);
    t.deepEqual(overTheWire(spec), spec);
  }
  const topk = makeSpec({ codec: 'topk', topKPercent: 0.1 });
  t.regex(
    specDifference(topk, { ...topk, topKPercent: undefined })?.message ?? '',
    /top-k percentage is 0.1, got 1/,
  );
});

for (const kind of OPTIMIZERS)
  for (const codec of ['fp32', 'fp16', 'bf16'] as const)
    test(`a spec with ${kind} over ${codec} survives the wire`, (t) => {
      const spec = makeSpec({ optimizer: optimizerSpec(kind, 0.003), codec, seed: -5 });
      t.deepEqual(overTheWire(spec), spec);
      t.is(specDifference(spec, overTheWire(spec)), undefined);
    });

const adamw = optimizerSpec('adamw', 0.003);
const FULL: OptimizerSpec = {
  ...adamw,
  l1: 1e-5,
  l2: 1e-4,
  clipValue: 2,
  clipNorm: 5,
  schedule: { kind: 'cosine', warmupSteps: 10, decaySteps: 90, decayEnd: 0.1 },
  groups: [
    { match: '*/bias', weightDecay: 0, l1: 0, l2: 0 },
    { match: 'embedd?ng', frozen: true },
    { match: 'out/*', learningRateScale: 0.1 },
  ],
};

test('regularization, clipping, schedule and groups survive the wire, zeros and gaps included', (t) => {
  const spec = makeSpec({ optimizer: FULL });
  t.deepEqual(overTheWire(spec), spec);
  for (const schedule of [
    { kind: 'constant', warmupSteps: 5 },
    { kind: 'step', warmupSteps: 0, decaySteps: 30, decayRate: 0.5 },
    { kind: 'polynomial', warmupSteps: 0, decaySteps: 30, decayEnd: 0, decayPower: 2 },
  ] as const) {
    const other = makeSpec({ optimizer: { ...FULL, schedule } });
    t.deepEqual(overTheWire(other), other);
  }
});

test('every part of an optimizer is compared, and the order of its fields is not', (t) => {
  const spec = makeSpec({ optimizer: FULL });
  const { kind, ...rest } = FULL;
  const turned = Object.fromEntries(Object.entries({ ...rest, kind }).reverse()) as unknown as OptimizerSpec;
  t.is(specDifference(spec, makeSpec({ optimizer: turned })), undefined);
  for (const [changes, says] of [
    [{ kind: 'lion' }, /the run's optimizer is adamw, got lion/],
    [{ l1: 2e-5 }, /the run's optimizer's l1 is 0\.00001, got 0\.00002/],
    [{ l2: undefined }, /the run's optimizer's l2 is 0\.0001, got none/],
    [{ clipValue: 3 }, /clipValue is 2, got 3/],
    [{ clipNorm: undefined }, /clipNorm is 5, got none/],
    [{ weightDecay: 0.02 }, /weightDecay is 0\.01, got 0\.02/],
    [{ schedule: { ...FULL.schedule, decayEnd: 0.2 } }, /schedule\.decayEnd is 0\.1, got 0\.2/],
    [{ schedule: undefined }, /schedule\.decayEnd is 0\.1, got none/],
    [{ groups: FULL.groups?.toReversed() }, /group 1 is \{.*bias.*\}, got \{.*out.*\}/],
    [{ groups: FULL.groups?.slice(0, 2) }, /group 3 is \{.*out.*\}, got none/],
    [{ groups: [...(FULL.groups ?? []), { match: 'scale', l2: 0 }] }, /group 4 is none, got \{/],
  ] as [object, RegExp][]) {
    const other = makeSpec({ optimizer: { ...FULL, ...changes } as OptimizerSpec });
    t.regex(specDifference(spec, other)?.sentence ?? '', says, JSON.stringify(changes));
  }
});

const wrong: [title: string, optimizer: object, message: RegExp][] = [
  ['a weight decay below 0', { ...adamw, weightDecay: -1 }, /a weight decay of 0 or more, got -1/],
  ['an l1 of NaN', { ...adamw, l1: Number.NaN }, /l1 and l2 of 0 or more, got NaN and 0/],
  ['an infinite l2', { ...adamw, l2: Number.POSITIVE_INFINITY }, /l1 and l2 of 0 or more/],
  ['a negative clip', { ...adamw, clipValue: -2 }, /a value above 0 to clip at, got -2/],
  ['a negative norm', { ...adamw, clipNorm: -2 }, /a norm above 0 to clip at, got -2/],
  [
    'an rmsprop without epsilon',
    { ...optimizerSpec('rmsprop', 0.1), epsilon: 0 },
    /an epsilon of 1e-30 or more for rmsprop, got 0/,
  ],
  [
    'an rmsprop with a decay of 1',
    { ...optimizerSpec('rmsprop', 0.1), decay: 1 },
    /a decay in \[0, 1\), got 1/,
  ],
  [
    'an adagrad that starts below 0',
    { ...optimizerSpec('adagrad', 0.1), initialAccumulator: -0.1 },
    /an initial accumulator of 0 or more, got -0.1/,
  ],
  [
    'a cosine without an end',
    { ...adamw, schedule: { kind: 'cosine', warmupSteps: 0, decaySteps: 0, decayEnd: 0 } },
    /decay steps of 1 or more for the schedule cosine, got 0/,
  ],
  [
    'steps that do not fall',
    { ...adamw, schedule: { kind: 'step', warmupSteps: 0, decaySteps: 5, decayRate: 1 } },
    /a decay rate between 0 and 1, got 1/,
  ],
  [
    'a group that matches nothing',
    { ...adamw, groups: [{ match: 'gamma', l2: 0 }] },
    /group 1 \('gamma'\): expected to take/,
  ],
  [
    'a group of state',
    { ...adamw, groups: [{ match: 'norm/*', l2: 0 }] },
    /group 1 \('norm\/\*'\): expected to take/,
  ],
  [
    'a group behind one that takes all',
    {
      ...adamw,
      groups: [
        { match: '*', l2: 0 },
        { match: 'dense/*', l2: 1 },
      ],
    },
    /group 2 \('dense\/\*'\): expected to take/,
  ],
  [
    'a group that freezes what is trained',
    { ...adamw, groups: [{ match: 'dense/*', frozen: true }] },
    /'dense\/kernel' to be frozen/,
  ],
  [
    'a group that freezes and more',
    { ...adamw, groups: [{ match: 'embedding', frozen: true, l2: 1 }] },
    /no other rule beside frozen/,
  ],
  [
    'a group without rules',
    { ...adamw, groups: [{ match: 'dense/*' }] },
    /at least one of learningRateScale/,
  ],
  [
    'a group without a learning rate',
    { ...adamw, groups: [{ match: 'dense/*', learningRateScale: 0 }] },
    /learningRateScale above 0/,
  ],
  [
    'a decay of weights where the optimizer has none',
    { ...optimizerSpec('adam', 0.1), groups: [{ match: 'dense/*', weightDecay: 0.1 }] },
    /adamw, lion or lamb for a weightDecay, got adam/,
  ],
  [
    'groups without end',
    { ...adamw, groups: Array.from({ length: 65 }, () => ({ match: '*', l2: 1 })) },
    /at most 64 groups, got 65/,
  ],
  ['a pattern without end', { ...adamw, groups: [{ match: '*'.repeat(257), l2: 1 }] }, /1 to 256 characters/],
];
for (const [title, optimizer, message] of wrong)
  test(`${title} is refused from the wire`, (t) => {
    const error = t.throws(() => overTheWire(makeSpec({ optimizer: optimizer as OptimizerSpec })), {
      instanceOf: Refused,
      message,
    });
    t.is(error?.code, RefusalCode.REFUSAL_CODE_RUN_SPEC);
  });
for (const clocked of [
  { consistency: 'ssp', staleness: 0 },
  { consistency: 'ssp', staleness: 7 },
  { consistency: 'asp' },
] as const)
  test(`a spec with ${JSON.stringify(clocked)} survives the wire`, (t) => {
    const spec = makeSpec(clocked);
    const { requestSerialize, requestDeserialize } = membershipService.Work;
    const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
    const back = fromWire(report.hello?.spec ?? null);
    t.deepEqual(back, spec);
    t.is(specDifference(spec, back), undefined);
    t.regex(specDifference(makeSpec(), back)?.sentence ?? '', /consistency is bsp, got (ssp|asp)/);
  });

test('a batch or epochs beyond their bounds are refused from the wire; 0 of both is a client that is no job', (t) => {
  for (const changes of [{ globalBatch: BATCH_MAX_SAMPLES + 1 }, { epochs: EPOCHS_MAX + 1 }]) {
    const error = t.throws(() => overTheWire(makeSpec(changes)), { instanceOf: Refused });
    t.is(error.code, RefusalCode.REFUSAL_CODE_RUN_SPEC);
    t.regex(error.sentence, new RegExp(`got .*${Object.values(changes)[0]}`));
  }
  for (const changes of [
    { globalBatch: BATCH_MAX_SAMPLES, epochs: EPOCHS_MAX },
    { globalBatch: 0, epochs: 0, stepsPerEpoch: 0 },
  ])
    t.deepEqual(overTheWire(makeSpec(changes)), makeSpec(changes));
});

test('backup workers survive the wire, are compared, and are refused where they cannot be', (t) => {
  const { requestSerialize, requestDeserialize } = membershipService.Work;
  const received = (spec: RunSpec) =>
    fromWire(
      requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never)).hello?.spec ?? null,
    );
  const spec = makeSpec({ workers: 3, backupWorkers: 1 });
  t.deepEqual(received(spec), spec);
  t.regex(
    specDifference(spec, { ...spec, backupWorkers: 2 })?.sentence ?? '',
    /number of backup workers is 1, got 2/,
  );
  for (const [changes, message] of [
    [{ backupWorkers: 3 }, /fewer backup workers than the 3 workers, got 3/],
    [{ consistency: 'asp' }, /consistency bsp with backup workers, got asp/],
    [{ codec: 'int8' }, /codec int8 expects no backup workers/],
  ] as const)
    t.throws(() => received({ ...spec, ...changes }), { instanceOf: Refused, message });
});

test('workers whose bounds differ are told both', (t) => {
  const ours = makeSpec({ consistency: 'ssp', staleness: 2 });
  t.regex(specDifference(ours, { ...ours, staleness: 3 })?.sentence ?? '', /staleness is 2, got 3/);
});

test('the consistencies of the options, the spec and the proto are the same', (t) => {
  const { type } = packageDefinition['gradloom.v1.Consistency'] as unknown as {
    type: { value: { name: string; number: number }[] };
  };
  const ids = Object.fromEntries(CONSISTENCIES.map((name) => [name, CONSISTENCY_IDS[name]]));
  t.deepEqual(ids, { ...CONSISTENCY_IDS });
  t.deepEqual(
    Object.fromEntries(type.value.slice(1).map(({ name, number }) => [name, number])),
    Object.fromEntries(Object.entries(ids).map(([name, id]) => [`CONSISTENCY_${name.toUpperCase()}`, id])),
  );
});

test('a spec of local SGD survives the wire, and another number of steps or inner optimizer is a difference', (t) => {
  const local = { steps: 20, optimizer: optimizerSpec('adam', 0.003) };
  const spec = makeSpec({ consistency: 'local', local, optimizer: outerOptimizer(0.5, 0.8) });
  const { requestSerialize, requestDeserialize } = membershipService.Work;
  const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
  t.deepEqual(fromWire(report.hello?.spec ?? null), spec);
  t.is(specDifference(spec, { ...spec }), undefined);
  const steps = specDifference(spec, { ...spec, local: { ...local, steps: 10 } });
  t.regex(steps?.message ?? '', /local steps is 20, got 10/);
  const inner = specDifference(spec, {
    ...spec,
    local: { ...local, optimizer: optimizerSpec('sgd', 0.003) },
  });
  t.regex(inner?.sentence ?? '', /inner optimizer is adam, got sgd/);
});

test('the inner optimizer has schedule and groups, the outer one none; a difference names its part', (t) => {
  const inner: OptimizerSpec = {
    ...optimizerSpec('adamw', 0.003),
    l1: 0.5,
    schedule: { kind: 'cosine', warmupSteps: 3, decaySteps: 9, decayEnd: 0 },
    groups: [{ match: 'embedding', frozen: true }],
  };
  const local = { steps: 20, optimizer: inner };
  const spec = makeSpec({ consistency: 'local', local, optimizer: outerOptimizer() });
  t.deepEqual(overTheWire(spec), spec);
  const other: OptimizerSpec = { ...inner, schedule: { kind: 'constant', warmupSteps: 4 } };
  t.regex(
    specDifference(spec, { ...spec, local: { ...local, optimizer: other } })?.sentence ?? '',
    /inner optimizer's schedule.* got/,
  );
  const groups = [{ match: 'nothing', l2: 1 }];
  t.throws(() => overTheWire({ ...spec, local: { ...local, optimizer: { ...inner, groups } } }), {
    instanceOf: Refused,
    message: /group 1 \('nothing'\)/,
  });
});

test('what waits for norms of the whole gradient is refused where workers do not share a step', (t) => {
  for (const optimizer of [optimizerSpec('lamb', 0.1), { ...adamw, clipNorm: 1 }]) {
    for (const consistency of ['ssp', 'asp'] as const) {
      const spec = makeSpec({ optimizer, consistency, ...(consistency === 'ssp' ? { staleness: 1 } : {}) });
      const error = t.throws(() => overTheWire(spec), { instanceOf: Refused });
      t.is(error?.label, 'run_spec');
      t.regex(error?.sentence ?? '', /expected consistency bsp or local with .*, got (ssp|asp)/);
    }
    t.deepEqual(overTheWire(makeSpec({ optimizer })).optimizer, optimizer);
  }
});

test('a limit of gradients survives the wire, is compared, and is refused where it is none', (t) => {
  const spec = makeSpec({ gradientLimit: 1000 });
  t.deepEqual(overTheWire(spec), spec);
  t.regex(specDifference(spec, makeSpec())?.sentence ?? '', /the run's gradient limit is 1000, got none/);
  for (const gradientLimit of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    const error = t.throws(() => overTheWire(makeSpec({ gradientLimit })), { instanceOf: Refused });
    t.is(error?.label, 'run_spec');
  }
});
