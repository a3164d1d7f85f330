// Workers with clocks of their own and servers, with a network that delays everything at random but keeps each
// stream in order. Element v of every block counts the updates of worker v (each takes 1 from it), so that what a
// read holds, and whether something was applied twice, is seen in the values themselves.
import type { Effect } from '../../server/effects.js';
import type { Header } from '../../server/step-headers.js';
import type { KeyedRandom } from '../../shared/random.js';

/** A server of the simulation: blocks of as many elements as there are workers, all zero at first. */
export interface SimulatedServer {
  readonly blocks: readonly number[];
  header(worker: number, step: number, header: Header): Effect[];
  /** A contribution of 1 to the worker's own element. */
  contribution(worker: number, step: number, block: number): Effect[];
  read(block: number): { values: readonly number[]; clockMin: number; version: number };
}

export interface Schedule {
  readonly workers: number;
  readonly steps: number;
  /** Infinity: asp. */
  readonly staleness: number;
  /** Likelihood that the next event is a worker's, by rank: who is slow. */
  readonly speeds: readonly number[];
  /** Whether a worker's step is not finite. */
  skips(worker: number, step: number): boolean;
  /** One in so many contributions is sent twice; 0: none. */
  readonly duplicates: number;
}

export interface Report {
  /** The clock that each worker has reached. */
  readonly clocks: readonly number[];
  /** Largest staleness of any read, from its values. */
  readonly stalest: number;
  /** What was wrong, in words. */
  readonly faults: readonly string[];
}

type Message = { kind: 'header'; step: number } | { kind: 'contribution'; step: number; block: number };

interface Reply {
  readonly effect: Extract<Effect, { kind: 'answer' | 'outcome' }>;
  /** A block that was let go and waits for room in the stream: it is encoded as it then stands. */
  readonly late: boolean;
}

interface SimulatedWorker {
  clock: number;
  /** Blocks and verdicts that it needs to enter the next clock. */
  readonly missing: Set<string>;
}

/** Runs until nothing is under way. */
export function simulate(
  servers: readonly SimulatedServer[],
  schedule: Schedule,
  random: KeyedRandom,
): Report {
  const { workers, steps, staleness, speeds, skips, duplicates } = schedule;
  const ranks = Array.from({ length: workers }, (_, rank) => rank);
  const state: SimulatedWorker[] = ranks.map(() => ({ clock: 0, missing: new Set() }));
  const up: Message[][][] = servers.map(() => ranks.map(() => []));
  const down: Reply[][][] = servers.map(() => ranks.map(() => []));
  const faults: string[] = [];
  const acknowledged = new Set<string>();
  let stalest = 0;
  /** Updates that the first `clock` steps of a worker are. */
  const updatesOf = (worker: number, clock: number) =>
    Array.from({ length: Math.max(0, clock) }, (_, step) => step).filter((step) => !skips(worker, step))
      .length;

  const begin = (rank: number) => {
    const { clock, missing } = state[rank];
    if (clock === steps) return;
    for (const [index, server] of servers.entries()) {
      missing.add(`outcome ${index}`);
      up[index][rank].push({ kind: 'header', step: clock });
      for (const block of server.blocks) {
        missing.add(`block ${block}`);
        if (skips(rank, clock)) continue;
        const message = { kind: 'contribution', step: clock, block } as const;
        up[index][rank].push(message);
        if (duplicates > 0 && random.below(duplicates) === 0) up[index][rank].push(message);
      }
    }
  };

  const read = (index: number, rank: number, block: number, step: number) => {
    const { values, clockMin, version } = servers[index].read(block);
    const counts = values.slice(0, workers).map((value) => -value);
    if (counts.reduce((sum, count) => sum + count, 0) !== version)
      faults.push(`block ${block} holds ${counts} updates and says version ${version}`);
    for (const [other, count] of counts.entries()) {
      if (count < updatesOf(other, step - staleness))
        faults.push(`worker ${rank} entered ${step} with ${count} updates of worker ${other}`);
      if (count > updatesOf(other, state[other].clock + 1))
        faults.push(`${count} updates of worker ${other} before it made them`);
      if (count < updatesOf(other, clockMin))
        faults.push(`block ${block} says clock ${clockMin} and holds ${count} updates of worker ${other}`);
      let lacks = 0;
      while (updatesOf(other, step - lacks) > count) lacks++;
      stalest = Math.max(stalest, lacks);
    }
    if (counts[rank] !== updatesOf(rank, step))
      faults.push(`worker ${rank} entered ${step} with ${counts[rank]} updates of its own`);
  };

  const deliverUp = (index: number, rank: number) => {
    const message = up[index][rank].shift() as Message;
    const effects =
      message.kind === 'header'
        ? servers[index].header(rank, message.step, {
            samples: 1,
            allFinite: !skips(rank, message.step),
            lossScale: 1,
            lossSum: rank,
            correct: 0,
          })
        : servers[index].contribution(rank, message.step, message.block);
    const duplicate = effects.some(({ kind }) => kind === 'duplicate');
    for (const effect of effects) {
      if (effect.kind === 'answer') {
        const late = random.below(2) === 0;
        if (!late) read(index, effect.worker, effect.block, effect.step);
        down[index][effect.worker].push({ effect, late });
      } else if (effect.kind === 'outcome')
        down[index][effect.worker as number].push({ effect, late: false });
      else if (effect.kind === 'ack' && !duplicate) {
        const key = `${effect.worker}/${effect.step}/${effect.block}`;
        if (acknowledged.has(key)) faults.push(`${key} was acknowledged twice`);
        acknowledged.add(key);
      }
    }
  };

  const deliverDown = (index: number, rank: number) => {
    const { effect, late } = down[index][rank].shift() as Reply;
    const { missing, clock } = state[rank];
    const what = effect.kind === 'answer' ? `block ${effect.block}` : `outcome ${index}`;
    const step = effect.kind === 'answer' ? effect.step : effect.outcome.step + 1;
    if (step !== clock + 1 || !missing.delete(what))
      faults.push(`worker ${rank} at ${clock} got ${what} of ${step}`);
    if (late && effect.kind === 'answer') read(index, rank, effect.block, step);
    if (missing.size > 0) return;
    state[rank].clock++;
    begin(rank);
  };

  for (const rank of ranks) begin(rank);
  for (;;) {
    const events = servers.flatMap((_, index) =>
      ranks.flatMap((rank) => [
        ...(up[index][rank].length > 0 ? [{ index, rank, deliver: deliverUp }] : []),
        ...(down[index][rank].length > 0 ? [{ index, rank, deliver: deliverDown }] : []),
      ]),
    );
    if (events.length === 0) break;
    let left = random.float() * events.reduce((sum, { rank }) => sum + speeds[rank], 0);
    const chosen = events.find(({ rank }) => {
      left -= speeds[rank];
      return left < 0;
    });
    const next = chosen ?? events[events.length - 1];
    next.deliver(next.index, next.rank);
  }
  for (const server of servers)
    for (const block of server.blocks)
      for (const [rank, value] of server.read(block).values.slice(0, workers).entries())
        if (-value !== updatesOf(rank, steps))
          faults.push(`at the end block ${block} holds ${-value} updates of worker ${rank}`);
  return { clocks: state.map(({ clock }) => clock), stalest, faults };
}
