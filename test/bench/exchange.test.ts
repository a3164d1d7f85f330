// The bench of the exchange, run small: every codec has a round, its parts, and a push stream.
import test from 'ava';
import { codecNames } from '../../shared/codec/registry.js';
import { run } from './exchange.js';

test.serial(
  'the bench of the exchange gives a round with its parts and a push rate for every codec',
  async (t) => {
    const results = await run({ repeats: 1, small: true });
    const keys = results.map((result) => `${result.case} ${result.metric}`);
    t.is(new Set(keys).size, keys.length);
    for (const codec of codecNames) {
      for (const metric of ['round', 'encode', 'wait', 'decode', 'serverOptimizer', 'push']) {
        const result = results.find((each) => each.case === codec && each.metric === metric);
        t.true((result?.median ?? 0) > 0, `${codec} ${metric}`);
      }
    }
  },
);
