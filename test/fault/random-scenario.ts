// A run with several faults, all drawn from a seed: who, when and what. Under bsp nothing of them may show in its weights.
import type { KeyedRandom } from '../../shared/random.js';
import { type Fault, type Scenario, UNTOUCHED, within } from './scenario.js';
import { killServer } from './scenarios.js';

const MEGABYTE = 1e6;
const DRAWN = ['stop-worker', 'stop-server', 'slow', 'kill-server', 'kill-all'] as const;
/** Epochs in which something happens: one fault each. */
const FAULTY_EPOCHS = [1, 2, 3, 4];

/** Two or three servers and workers, snapshots, and a fault in each of four epochs. */
export function randomScenario(random: KeyedRandom): Scenario {
  const servers = 2 + random.below(2);
  const workers = 2 + random.below(2);
  const proxied = 1 + random.below(servers - 1);
  const all = Array.from({ length: servers }, (_, index) => index);
  let alive = all;
  const draw = (epoch: number): Fault => {
    const at = within(epoch, random);
    const seconds = 1 + 3 * random.float();
    const stopped = (role: 'server' | 'worker', index: number): Fault => ({
      ...{ kind: 'stop', at, role },
      ...{ index, seconds },
    });
    const others = alive.filter((index) => index > 0);
    switch (DRAWN[random.below(DRAWN.length)]) {
      case 'slow': {
        const bytesPerSecond = MEGABYTE * 2 ** (1 + 4 * random.float());
        const delayMs = 50 * random.float();
        if (alive.includes(proxied))
          return { kind: 'slow', at, index: proxied, delayMs, bytesPerSecond, seconds };
        break;
      }
      case 'stop-server':
        return stopped('server', alive[random.below(alive.length)]);
      case 'kill-server': {
        if (others.length === 0) break;
        const index = others[random.below(others.length)];
        alive = alive.filter((other) => other !== index);
        return killServer(at, index);
      }
      case 'kill-all':
        alive = all;
        return { kind: 'kill-all', at };
    }
    return stopped('worker', random.below(workers));
  };
  const faults = FAULTY_EPOCHS.map(draw);
  return {
    summary: 'faults drawn from the seed, one after another',
    servers,
    workers,
    flags: [],
    proxied,
    snapshots: 'kept',
    faults: () => faults,
    expects: { ...UNTOUCHED, noStepLost: !faults.some(({ kind }) => kind === 'kill-all') },
  };
}
