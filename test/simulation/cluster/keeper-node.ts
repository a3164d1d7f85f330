// The keeper of a simulated cluster, which is at its first server: the real service over the coordinator, and what somebody
// asks of it from outside, as `gradloom set`, `gradloom drain` and whoever only reads do.
import type { MethodDefinition } from '@grpc/grpc-js';
import { MembershipService } from '../../../server/membership-service.js';
import { RunError } from '../../../shared/errors.js';
import type { ChangeReply } from '../../../shared/rpc/generated/gradloom/v1/ChangeReply.js';
import type { DescribeReply__Output } from '../../../shared/rpc/generated/gradloom/v1/DescribeReply.js';
import type { DrainReply } from '../../../shared/rpc/generated/gradloom/v1/DrainReply.js';
import { membershipService } from '../../../shared/rpc/proto.js';
import { CONSISTENCY_IDS } from '../../../shared/run/spec.js';
import type { Cluster } from './cluster.js';

type Unary<Reply> = (call: { request: object }, answer: (error: null, reply: Reply) => void) => void;

interface Calls {
  readonly Describe: Unary<object>;
  readonly Change: Unary<ChangeReply>;
  readonly Drain: Unary<DrainReply>;
}

export class KeeperNode {
  /** Views that somebody has asked for and got. */
  changes = 0;
  /** Whether one gave workers clocks of their own: then there are no copies, and a stream that breaks ends the run. */
  hadClocks = false;
  readonly #cluster: Cluster;
  /** There once it answers. */
  #calls: Calls | undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get name(): string {
    return this.#cluster.serverNames[0];
  }

  /** Whether it can answer. */
  get isLive(): boolean {
    const { scheduler } = this.#cluster;
    return !scheduler.isCrashed(this.name) && !scheduler.isPaused(this.name);
  }

  /** Answers from now on. */
  listen(): void {
    const { network, coordinator } = this.#cluster;
    const service = new MembershipService(
      () => '',
      (message) => this.#cluster.note(`${this.name}: ${message}`),
      () => undefined,
    );
    service.keep(coordinator);
    const handlers = service.handlers();
    network.listen(this.name, handlers as never);
    this.#calls = handlers as unknown as Calls;
  }

  /** A node that only reads asks for a run. Throws RunError where the keeper does not answer. */
  describe(from: string, run: string): Promise<DescribeReply__Output> {
    const { scheduler, network } = this.#cluster;
    const { mostMs, noticeMs } = network.delays;
    return new Promise((resolve, reject) => {
      const fail = () => reject(new RunError('cannot reach the keeper: no answer'));
      scheduler.after(scheduler.isCrashed(this.name) ? noticeMs : network.deadlineMs, from, fail);
      scheduler.after(mostMs, this.name, () =>
        this.#calls?.Describe({ request: { run } }, (_error, reply) => {
          // As it is now, in the form in which it travels.
          const method = membershipService.Describe as unknown as MethodDefinition<object, object>;
          const bytes = method.responseSerialize(reply);
          scheduler.after(mostMs, from, () =>
            resolve(method.responseDeserialize(bytes) as DescribeReply__Output),
          );
        }),
      );
    });
  }

  /** Somebody asks for another consistency. */
  change(consistency: 'bsp' | 'ssp' | 'asp', staleness: number): void {
    const cluster = this.#cluster;
    const request = { run: '', consistency: CONSISTENCY_IDS[consistency], staleness };
    cluster.note(`${consistency} is asked for`);
    let isRefused = false;
    this.#calls?.Change({ request }, (_error, { refusal, view }) => {
      isRefused = Boolean(refusal);
      cluster.note(refusal?.sentence ?? `view ${view?.number} holds from step ${view?.fromStep}`);
      if (view) this.changes++;
    });
    // Decided later, it may hold before whoever asked is told.
    this.hadClocks ||= !isRefused && consistency !== 'bsp';
  }

  /** Somebody asks for a server to be emptied; `emptied` is called when that holds nothing any more. */
  drain(server: string, emptied: () => void): void {
    const cluster = this.#cluster;
    const [entry] = [...cluster.coordinator.servers.values()].filter(({ address }) => address === server);
    cluster.note(`${server} is to be emptied`);
    this.#calls?.Drain({ request: { server: entry?.id ?? -1 } }, (_error, { refusal }) => {
      cluster.note(refusal?.sentence ?? `${server} is empty`);
      if (!refusal) emptied();
    });
  }
}
