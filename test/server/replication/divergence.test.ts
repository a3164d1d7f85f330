// Copies that are compared over gRPC: two real servers in this process and workers that train on them. A bit changes in
// the memory of the backup of each shard; it is told by event, metric and `status`, and when the other server is gone the
// copies go on with the bits of a run to which nothing happened.
import test from 'ava';
import { type DivergedEvent, HostedShards } from '../../../server/hosted-shards.js';
import { reportTo } from '../../../server/metrics.js';
import type { Replica } from '../../../server/replication/replica.js';
import { status } from '../../../shared/client/membership.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { openMesh, openServer, startWorkers, wholeRun } from '../../helpers/mesh.js';
import { flipBit } from '../../helpers/replication.js';
import { until } from '../../helpers/server.js';
import { makeSpec } from '../../helpers/shards.js';

const STEPS = 6;
const STATUS_MS = 60_000;

test.serial(
  'a bit that changes in a backup is told by event, metric and status, and does not outlive the next step',
  async (t) => {
    const spec = makeSpec({ replicas: 2 });
    const [alone] = await openMesh(t, 1);
    const expected = await wholeRun({ address: alone.address, spec: { ...spec, replicas: 1 } }, STEPS);

    // What a server holds for others nobody can ask for: seen as its streams begin.
    const copies = new Map<number, Replica>();
    const { replicaOf } = HostedShards.prototype;
    HostedShards.prototype.replicaOf = function (hello) {
      const replica = replicaOf.call(this, hello);
      copies.set(hello.shard, replica);
      return replica;
    };
    t.teardown(() => {
      HostedShards.prototype.replicaOf = replicaOf;
    });

    const events: DivergedEvent[] = [];
    const instruments = createMetrics('server');
    const observed = {
      metrics: reportTo(instruments),
      onDiverged: (event: DivergedEvent) => events.push(event),
    };
    const keeper = await openServer(t, observed);
    const other = await openServer(t, { ...observed, join: keeper.address });
    const workers = await startWorkers({ address: keeper.address, spec });
    t.teardown(() => {
      for (const worker of workers) worker.leave();
    });
    const step = (at: number) => Promise.all(workers.map((worker) => worker.step(at)));
    await step(0);
    await step(1);
    t.is(copies.size, 2);
    for (const { shard } of copies.values()) {
      const [block] = shard.blockIndices;
      flipBit(shard, { block, array: 0, element: 2, bit: 17 });
    }
    await step(2);
    await until(() => events.length === 2);
    const [{ run }] = events;
    for (const { shard, block, version, primary, backup, text } of events) {
      t.is([...(copies.get(shard) as Replica).shard.blockIndices][0], block);
      t.is(version, 2);
      t.deepEqual([primary, backup].sort(), [keeper.serverId, other.serverId].sort());
      t.is(
        text,
        `run ${run}: block ${block} of shard ${shard} differs after 2 updates between server ${primary}, its primary, and its copy on server ${backup} (values); it was sent again and training goes on: check the memory of these hosts`,
      );
    }
    const told = await instruments.registry.getSingleMetricAsString('gradloom_copy_divergences_total');
    t.regex(told, /gradloom_copy_divergences_total\{role="server"\} 2\n?$/);
    const of = async () => (await status(keeper.address, STATUS_MS)).runs[0];
    while ((await of()).divergences < 2) await new Promise((resolve) => setImmediate(resolve));
    const { lastDivergence } = await of();
    t.true(
      events.some(({ shard, block }) => shard === lastDivergence?.shard && block === lastDivergence.block),
    );

    await step(3);
    await other.close('it is killed');
    for (let at = 4; at < STEPS; at++) await step(at);
    t.is(keeper.runs.get(run)?.size, 2);
    t.deepEqual(await workers[0].fetchBits(STEPS), expected);
    t.is(events.length, 2);
  },
);
