// Groups of tensors: globs against regular expressions, the first match wins, what is frozen.
import test from 'ava';
import fc from 'fast-check';
import { freezeGroups, globMatches, groupsFault, ruleOf } from '../../../shared/optimizer/groups.js';
import { type OptimizerSpec, optimizerSpec } from '../../../shared/optimizer/spec.js';
import { makeSpec } from '../../helpers/shards.js';

test('a glob matches what the regular expression of it matches', (t) => {
  const text = (characters: string) =>
    fc.array(fc.constantFrom(...characters), { maxLength: 12 }).map((found) => found.join(''));
  let matched = 0;
  fc.assert(
    fc.property(text('ab/.*?'), text('ab/.'), (glob, name) => {
      const pattern = glob.replaceAll('.', '\\.').replaceAll('?', '.').replaceAll('*', '.*');
      const expected = new RegExp(`^${pattern}$`).test(name);
      matched += expected ? 1 : 0;
      t.is(globMatches(glob, name), expected, `${glob} on ${name}`);
    }),
    { seed: 20_265, numRuns: 5000 },
  );
  t.true(matched > 100);
});

test('a glob that makes regular expressions hang is answered at once', (t) => {
  t.false(globMatches(`${'*a'.repeat(100)}b`, 'a'.repeat(256)));
});

const optimizer: OptimizerSpec = {
  ...optimizerSpec('adamw', 0.1),
  l2: 0.5,
  groups: [
    { match: '*/bias', weightDecay: 0, l2: 0 },
    { match: 'dense/*', learningRateScale: 2 },
    { match: 'out/*', frozen: true },
  ],
} as OptimizerSpec;

test("the first group that matches holds, and what it does not say is the optimizer's", (t) => {
  const none = { learningRateScale: 1, weightDecay: 0.01, l1: 0, l2: 0.5 };
  t.deepEqual(ruleOf(optimizer, 'dense/bias'), { ...none, weightDecay: 0, l2: 0 });
  t.deepEqual(ruleOf(optimizer, 'dense/kernel'), { ...none, learningRateScale: 2 });
  t.deepEqual(ruleOf(optimizer, 'scale'), none);
  t.deepEqual(ruleOf(optimizerSpec('sgd', 1), 'scale'), { ...none, weightDecay: 0, l2: 0 });
});

test('tensors of a frozen group are frozen, state and all others stay as they are', (t) => {
  const { tensors } = makeSpec();
  const frozen = freezeGroups(tensors, [{ match: '*', frozen: true }]);
  t.deepEqual(
    frozen.map(({ kind }) => kind),
    ['frozen', 'frozen', 'state', 'frozen', 'frozen', 'frozen'],
  );
  const some = freezeGroups(tensors, optimizer.groups);
  t.deepEqual(
    some.filter(({ kind }, index) => kind !== tensors[index].kind).map(({ name }) => name),
    ['out/kernel'],
  );
  t.is(groupsFault(optimizer, some), undefined);
  t.regex(
    groupsFault(optimizer, tensors) ?? '',
    /group 3 \('out\/\*'\): expected its tensor 'out\/kernel' to be frozen/,
  );
});
