// The scenarios by name: `npm run chaos -- --scenario NAME`. Victims and moments come from the seed; server 0 is the keeper;
// where that is the embedded coordinator, no run survives its death.
import type { KeyedRandom } from '../../shared/random.js';
import { type Fault, type Scenario, UNTOUCHED, within } from './scenario.js';

const MEGABYTE = 1e6;
/** Steps from one snapshot to the next: there is always one under way soon. */
export const SNAPSHOT_STEPS = 8;

/** One of three servers that is not the keeper. */
const oneOfTwo = (random: KeyedRandom): number => 1 + random.below(2);
export const killServer = (at: number, index: number): Fault => ({
  ...{ kind: 'kill', role: 'server', recovers: true },
  ...{ at, index },
});
/** Longer than the peer deadline: the server is replaced while it stands still. */
const PAUSE_SECONDS = 15;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'kill-server': {
    summary: 'kill -9 of one of three servers in mid-epoch, and of another when all is copied again',
    servers: 3,
    workers: 2,
    flags: ['--replicas=2'],
    faults(random) {
      const first = oneOfTwo(random);
      return [killServer(within(1, random), first), killServer(within(3, random), 3 - first)];
    },
    expects: { ...UNTOUCHED, stallMaxSeconds: 2 },
  },
  'kill-keeper': {
    summary: 'with etcd: kill -9 of the keeper with the shards that it holds, and then of the next one',
    servers: 3,
    workers: 2,
    flags: ['--replicas=2'],
    etcd: true,
    faults: (random) => [killServer(within(1, random), 0), killServer(within(3, random), 1)],
    expects: { ...UNTOUCHED, stallMaxSeconds: 2 },
  },
  'pause-server': {
    summary: 'SIGSTOP of one of three servers until it is replaced; when it wakes up it is fenced off',
    servers: 3,
    workers: 2,
    flags: ['--replicas=2'],
    peerDeadlineSeconds: 5,
    faults: (random) => [
      {
        ...{ kind: 'stop', role: 'server', seconds: PAUSE_SECONDS },
        ...{ at: within(1, random), index: oneOfTwo(random) },
      },
    ],
    expects: { ...UNTOUCHED, fenced: true },
  },
  'kill-worker': {
    summary: 'kill -9 of one of three workers in mid-epoch, with --elastic: the others share what it held',
    servers: 2,
    workers: 3,
    flags: ['--elastic', '--codec=fp16'],
    faults: (random) => [
      { kind: 'kill', at: within(2, random), role: 'worker', index: random.below(3), recovers: true },
    ],
    // Who leaves is chance, so the sums are others'; the records are not.
    expects: { ...UNTOUCHED, sameBits: false },
  },
  'drain-server': {
    summary:
      'a server joins, and later one of the first three is drained: bytes moved beside the least possible',
    servers: 3,
    workers: 2,
    flags: ['--replicas=2'],
    faults: (random) => [
      { kind: 'join', at: within(1, random) },
      { kind: 'drain', at: within(3, random), index: oneOfTwo(random) },
    ],
    expects: UNTOUCHED,
  },
  'stop-worker': {
    summary: 'SIGSTOP of a worker for 3 s: the others say whom they wait for, and the run goes on',
    servers: 2,
    workers: 2,
    flags: [],
    faults: (random) => [
      { kind: 'stop', at: within(1, random), role: 'worker', index: random.below(2), seconds: 3 },
    ],
    expects: { ...UNTOUCHED, waitIsNamed: true },
  },
  'slow-link': {
    summary: 'the link to one server delays by 20 ms and throttles to 4 MB/s for 5 s',
    servers: 2,
    workers: 2,
    flags: [],
    proxied: 1,
    faults: (random) => [
      {
        kind: 'slow',
        at: within(1, random),
        index: 1,
        delayMs: 20,
        bytesPerSecond: 4 * MEGABYTE,
        seconds: 5,
      },
    ],
    expects: UNTOUCHED,
  },
  'keeper-dies': {
    summary: 'kill -9 of the keeper: the run ends with its name, exit status 1, and nobody hangs',
    servers: 2,
    workers: 2,
    flags: [],
    faults: (random) => [{ kind: 'kill', at: within(1, random), role: 'server', index: 0 }],
    expects: {
      sameBits: false,
      noStepLost: false,
      records: false,
      fails: { role: 'server', index: 0 },
    },
  },
  'kill-everything': {
    summary: 'kill -9 of all processes in mid-snapshot, three times; each time --resume goes on',
    servers: 2,
    workers: 2,
    flags: [],
    snapshots: 'kept',
    faults: (random) => [1, 2, 3].map((epoch) => ({ kind: 'kill-all', at: within(epoch, random) })),
    expects: { ...UNTOUCHED, noStepLost: false },
  },
  'full-disk': {
    summary: 'snapshots to a disk that is too small: the run goes on, and says that there are none',
    servers: 2,
    workers: 2,
    flags: [],
    snapshots: 'full-disk',
    faults: () => [],
    expects: { ...UNTOUCHED, snapshotsFail: true },
  },
};
