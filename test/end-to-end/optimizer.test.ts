// Optimizer, schedule and groups from flags and job to what is recorded and saved, with real processes.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { readSafetensors } from '../../shared/safetensors.js';
import { start } from '../helpers/processes.js';
import { jobPath, tinyRun } from '../helpers/tiny-run.js';

const GROUPS = [
  { match: 'conv*/kernel', frozen: true },
  { match: '*/bias', weightDecay: 0 },
];

/** A job's file that is the small one with these groups. */
async function jobWithGroups(folder: string, groups: unknown): Promise<string> {
  const file = join(folder, 'grouped.mjs');
  await writeFile(
    file,
    `import small from ${JSON.stringify(jobPath('small'))};
    export default { ...small, optimizer: { kind: 'adamw', learningRate: 0.01, groups: ${JSON.stringify(groups)} } };`,
  );
  return file;
}

async function results(t: ExecutionContext, flags: readonly string[]) {
  const up = start(t, 'gradloom', ['up', ...flags]);
  const { code, stderr } = await up.ended;
  t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
  const { folder, summary } = up.events[up.events.length - 1] as unknown as {
    folder: string;
    summary: { weightsSha256: string };
  };
  const json = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'));
  return {
    folder,
    weights: summary.weightsSha256,
    config: await json('config.json'),
    optimizer: await json('optimizer.json'),
  };
}

test.serial(
  'what flags and job say of the optimizer is recorded, holds, and is the same again from the config',
  async (t) => {
    const { flags, folder } = await tinyRun(t);
    const job = await jobWithGroups(folder, GROUPS);
    const others = flags.filter((flag) => !flag.startsWith('--job='));
    const asked = [
      '--weight-decay=0.05',
      '--l2=0.001',
      '--clip-value=0.5',
      '--schedule=cosine',
      '--warmup-steps=2',
    ];
    const first = await results(t, [
      ...others,
      `--job=${job}`,
      '--servers=2',
      '--workers=2',
      '--epochs=2',
      ...asked,
    ]);
    const schedule = { kind: 'cosine', warmupSteps: 2, decaySteps: 6, decayEnd: 0 };
    t.deepEqual(first.optimizer, {
      ...{ kind: 'adamw', learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
      ...{ weightDecay: 0.05, l2: 0.001, clipValue: 0.5, schedule, groups: GROUPS },
    });
    t.like(first.config, {
      ...{ optimizer: 'adamw', 'learning-rate': 0.01, 'weight-decay': 0.05, l2: 0.001, 'clip-value': 0.5 },
      ...{ schedule: 'cosine', 'warmup-steps': 2, 'decay-steps': 6, 'decay-end': 0 },
    });
    const again = await results(t, [
      '--json',
      `--config=${join(first.folder, 'config.json')}`,
      '--servers=1',
    ]);
    t.is(again.weights, first.weights);
    t.deepEqual(again.optimizer, first.optimizer);

    const plain = await results(t, [...others, `--job=${job}`, '--servers=1', '--workers=2', '--epochs=2']);
    t.not(plain.weights, first.weights);
    const saved = await Promise.all(
      [first, plain].map(
        async (each) => (await readSafetensors(join(each.folder, 'model.safetensors'))).tensors,
      ),
    );
    for (const [name, { data }] of saved[0]) {
      const frozen = /^conv.*\/kernel$/.test(name);
      t.is(Buffer.compare(data, saved[1].get(name)?.data ?? Buffer.alloc(0)) === 0, frozen, name);
    }
    t.true([...saved[0].keys()].some((name) => /^conv.*\/kernel$/.test(name)));
  },
);

test.serial('a group that takes nothing ends the run with exit status 2 and one line', async (t) => {
  const { flags, folder } = await tinyRun(t);
  const job = await jobWithGroups(folder, [{ match: 'gamma', weightDecay: 0 }]);
  const up = start(t, 'gradloom', ['up', ...flags, `--job=${job}`, '--servers=1', '--workers=1']);
  const { code, stderr } = await up.ended;
  t.is(code, 2);
  t.is(stderr.length, 1);
  t.regex(stderr[0], /optimizer\.groups: group 1 \('gamma'\): expected to take a tensor/);
});
