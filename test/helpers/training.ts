// Training on shards driven by hand, in the plainest order: the bits that every other way must give.

import type { BlockNorms, Effect } from '../../server/effects.js';
import type { Shard } from '../../server/shard.js';
import type { Header } from '../../server/step-headers.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { contributionOf, headerOf, makeShards, type ShardSet } from './shards.js';

export type Message = { header: Header; step: number } | { contribution: Bulk };

export function deliver(shard: Shard, worker: number, message: Message): Effect[] {
  return 'header' in message
    ? shard.header(worker, message.step, message.header)
    : shard.contribution(worker, message.contribution);
}

export const normsIn = (effects: readonly Effect[]): BlockNorms[] =>
  effects.flatMap((effect) => (effect.kind === 'norms' ? [effect.norms] : []));

/** Takes the norms that a server has told to all others at once, and what those tell then. */
export function tellNorms({ shards }: ShardSet, server: number, effects: readonly Effect[]): void {
  for (const norms of normsIn(effects))
    for (const [other, shard] of shards.entries())
      if (other !== server) tellNorms({ shards } as ShardSet, other, shard.norms(norms));
}

/** What a worker sends to one server for one step, in order. */
export function messagesOf(
  spec: RunSpec,
  set: ShardSet,
  worker: number,
  server: number,
  step: number,
  header: Header,
): Message[] {
  const { blocks } = layoutOf(spec);
  const contributions = header.allFinite
    ? blocks
        .filter(({ index, kind }) => kind !== 'frozen' && set.owners[index] === server)
        .map(({ index }) => ({ contribution: contributionOf(spec, step, worker, index) }))
    : [];
  return [{ header, step }, ...contributions];
}

export interface Bad {
  /** At this step worker 0's gradients are not finite. */
  skippedStep?: number;
}

/** Steps that the runs of tests have. */
export const STEPS = 4;

/** Trains in the plainest order: worker after worker, block after block. */
export function trainInOrder(spec: RunSpec, servers: number, { skippedStep }: Bad = {}): ShardSet {
  const set = makeShards(spec, servers);
  for (let step = 0; step < STEPS; step++)
    for (let worker = 0; worker < spec.workers; worker++)
      for (const [server, shard] of set.shards.entries()) {
        const header = { ...headerOf(step, worker), allFinite: !(worker === 0 && step === skippedStep) };
        for (const message of messagesOf(spec, set, worker, server, step, header))
          tellNorms(set, server, deliver(shard, worker, message));
      }
  return set;
}

/** The steps of a run with backup workers, by one that has no workers but the contributors, who keep what they send. */
export function trainContributors(
  spec: RunSpec,
  taken: readonly (readonly number[])[],
  badStep = -1,
): ShardSet {
  const { backupWorkers = 0, ...rest } = spec;
  const plain = { ...rest, workers: spec.workers - backupWorkers };
  const set = makeShards(plain, 1);
  for (const [step, members] of taken.entries()) {
    const isBad = step === badStep && members.includes(0);
    for (const [rank, worker] of members.entries())
      set.shards[0].header(rank, step, { ...headerOf(step, worker), allFinite: !(isBad && worker === 0) });
    for (const [rank, worker] of members.entries())
      for (const { index, kind } of layoutOf(plain).blocks)
        if (kind !== 'frozen' && !isBad)
          tellNorms(set, 0, set.shards[0].contribution(rank, contributionOf(spec, step, worker, index)));
  }
  return set;
}
