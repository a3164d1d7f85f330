// The optimizer of a run, from what the job says and what the options say.
import test from 'ava';
import { GRADLOOM } from '../../../shared/config/commands.js';
import { parseProgram } from '../../../shared/config/program.js';
import { UserError } from '../../../shared/errors.js';
import { OPTIMIZERS, optimizerSpec } from '../../../shared/optimizer/spec.js';
import {
  compileOptimizer,
  type JobOptimizer,
  optimizerFlags,
} from '../../../worker/training/compile-optimizer.js';

const adamw: JobOptimizer = {
  kind: 'adamw',
  learningRate: 0.01,
  beta2: 0.98,
  weightDecay: 0.1,
  l2: 0.5,
  schedule: { kind: 'cosine', warmupSteps: 10 },
  groups: [{ match: '*/bias', weightDecay: 0 }],
};

test('a job that says no more than name and learning rate has the defaults', (t) => {
  for (const kind of OPTIMIZERS)
    t.deepEqual(compileOptimizer({ kind, learningRate: 0.01 }, {}, 100), optimizerSpec(kind, 0.01));
});

test('what the job says holds, and a decay without an end ends with the run', (t) => {
  t.deepEqual(compileOptimizer(adamw, {}, 100), {
    ...optimizerSpec('adamw', 0.01),
    beta2: 0.98,
    weightDecay: 0.1,
    l2: 0.5,
    schedule: { kind: 'cosine', warmupSteps: 10, decaySteps: 90, decayEnd: 0 },
    groups: [{ match: '*/bias', weightDecay: 0 }],
  });
});

test('options go before the job, and --schedule replaces the whole schedule', (t) => {
  const flags = {
    learningRate: 1,
    weightDecay: 0,
    l2: 0,
    l1: 0.25,
    clipValue: 3,
    clipNorm: 4,
    schedule: 'polynomial',
    decayEnd: 0.5,
  } as const;
  t.like(compileOptimizer(adamw, flags, 100), {
    learningRate: 1,
    beta2: 0.98,
    weightDecay: 0,
    l1: 0.25,
    l2: 0,
    clipValue: 3,
    clipNorm: 4,
    schedule: { kind: 'polynomial', warmupSteps: 0, decaySteps: 100, decayEnd: 0.5, decayPower: 1 },
  });
  t.like(compileOptimizer(adamw, { warmupSteps: 20 }, 100), {
    schedule: { kind: 'cosine', warmupSteps: 20, decaySteps: 80, decayEnd: 0 },
  });
  t.deepEqual(compileOptimizer({ kind: 'sgd', learningRate: 1 }, { warmupSteps: 5 }, 100).schedule, {
    kind: 'constant',
    warmupSteps: 5,
  });
});

test("another optimizer than the job's has its own parameters, and the job's rules", (t) => {
  const { groups, ...job } = adamw;
  const { schedule, ...compiled } = compileOptimizer(job, { optimizer: 'lion' }, 100);
  t.deepEqual(compiled as object, { ...optimizerSpec('lion', 0.01), l2: 0.5 });
  t.is(schedule?.kind, 'cosine');
});

for (const [title, job, flags, message] of [
  [
    'a field that nobody reads',
    { ...adamw, weight_decay: 1 },
    {},
    /expected fields of kind.*weightDecay.*'weight_decay'/,
  ],
  [
    "another optimizer's field",
    { kind: 'sgd', learningRate: 1, momentum: 0.9 },
    {},
    /the optimizer sgd: .*'momentum'/,
  ],
  [
    "another schedule's field",
    { ...adamw, schedule: { kind: 'cosine', decayRate: 0.1 } },
    {},
    /the schedule cosine: .*'decayRate'/,
  ],
  [
    'a schedule that nobody has',
    { ...adamw, schedule: { kind: 'sine' } },
    {},
    /constant, step, cosine, polynomial, got "sine"/,
  ],
  [
    "a group's field that nobody reads",
    { ...adamw, groups: [{ match: '*', lr: 1 }] },
    {},
    /a group of the optimizer: .*'lr'/,
  ],
  [
    'a group without a pattern',
    { ...adamw, groups: [{ l2: 1 }] },
    {},
    /a pattern of names, …\}, got \{"l2":1\}/,
  ],
  [
    'falls without a number of steps',
    { ...adamw, schedule: { kind: 'step' } },
    {},
    /decay steps of 1 or more for the schedule step, got 0/,
  ],
  [
    'a momentum of 1',
    { kind: 'momentum', learningRate: 1, momentum: 1 },
    {},
    /momentum: expected momentum in \[0, 1\), got 1/,
  ],
  ['text for a number', { ...adamw, l1: '0.1' }, {}, /l1 and l2 of 0 or more/],
  [
    '--weight-decay on a job with adam',
    { kind: 'adam', learningRate: 1 },
    { weightDecay: 0.1 },
    /--weight-decay: expected the optimizer adamw, lion or lamb, the job's is adam/,
  ],
  [
    'a warm-up longer than the run',
    { kind: 'sgd', learningRate: 1 },
    { warmupSteps: 100 },
    /--warmup-steps: expected fewer than the 100 steps of the run, got 100/,
  ],
] as [string, JobOptimizer, object, RegExp][])
  test(`${title} is refused in one line`, (t) => {
    const error = t.throws(() => compileOptimizer(job, flags, 100), { instanceOf: UserError, message });
    t.false(error?.message.includes('\n'));
  });

test('what is recorded asks for the same again', async (t) => {
  const first = compileOptimizer(
    { ...adamw, groups: undefined },
    { l1: 1e-6, clipValue: 2, clipNorm: 3, schedule: 'step', decaySteps: 30, decayRate: 0.25 },
    100,
  );
  const argv = Object.entries(optimizerFlags(first)).map(([flag, value]) => `--${flag}=${value}`);
  t.is(argv.length, 11);
  const parsed = await parseProgram(GRADLOOM, ['up', ...argv], {});
  if (parsed.kind !== 'run' || parsed.command !== 'up') return t.fail();
  const plainJob: JobOptimizer = { kind: 'adamw', learningRate: 9, beta2: 0.98 };
  t.deepEqual(compileOptimizer(plainJob, parsed.options, 100), first);
});
