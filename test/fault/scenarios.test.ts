// Scenarios are what their seed says: the same faults each time, one after another, and never on the keeper but where it
// is to die.
import test from 'ava';
import { keyedRandom } from '../../shared/random.js';
import { randomScenario } from './random-scenario.js';
import type { Scenario } from './scenario.js';
import { SCENARIOS } from './scenarios.js';

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);
/** Fewest epochs that a run may have. */
const EPOCHS = 6;

function check(t: import('ava').ExecutionContext, scenario: Scenario, seed: number): void {
  const faults = scenario.faults(keyedRandom(seed, 'test'));
  t.deepEqual(scenario.faults(keyedRandom(seed, 'test')), faults);
  let before = 0;
  const dead = new Set<string>();
  for (const fault of faults) {
    t.true(fault.at > before && fault.at < EPOCHS - 1, `at ${fault.at}`);
    before = fault.at;
    if ('role' in fault)
      t.true(fault.index < (fault.role === 'server' ? scenario.servers : scenario.workers));
    if (fault.kind === 'kill' && fault.role === 'server' && fault.index === 0)
      t.truthy(
        scenario.expects.fails ?? scenario.etcd,
        'only a run that is to fail, or has etcd, loses its keeper',
      );
    const victim =
      'role' in fault ? `${fault.role} ${fault.index}` : fault.kind === 'slow' ? `server ${fault.index}` : '';
    t.false(dead.has(victim), `${victim} is dead already`);
    if (fault.kind === 'kill') dead.add(victim);
    if (fault.kind === 'kill-all') dead.clear();
    if (fault.kind === 'slow') t.is(fault.index, scenario.proxied as number);
    if (fault.kind === 'kill-all') t.is(scenario.snapshots, 'kept');
  }
}

for (const [name, scenario] of Object.entries(SCENARIOS))
  test(`faults of ${name} are what the seed says, and can be done`, (t) => {
    for (const seed of SEEDS) check(t, scenario, seed);
  });

test('random scenarios are what the seed says, and all kinds of faults come', (t) => {
  const kinds = new Set<string>();
  for (const seed of SEEDS) {
    const draw = () => randomScenario(keyedRandom(seed, 'chaos', 'random'));
    const scenario = draw();
    t.deepEqual(draw().faults(keyedRandom(0)), scenario.faults(keyedRandom(0)));
    check(t, scenario, seed);
    for (const { kind } of scenario.faults(keyedRandom(0))) kinds.add(kind);
  }
  t.deepEqual([...kinds].sort(), ['kill', 'kill-all', 'slow', 'stop']);
});
