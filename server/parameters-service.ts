// The gRPC face of the shards: opens Push and Pull streams, checks that their first message fits the run, and
// hands the rest to it; so with Agree streams of other servers. A refusal is written to the stream and ends it; the server lives on.
import type * as grpc from '@grpc/grpc-js';
import { schemaHash } from '../shared/blocks/manifest.js';
import { sentence } from '../shared/errors.js';
import type { AgreeHello__Output } from '../shared/rpc/generated/gradloom/v1/AgreeHello.js';
import type { AgreeMessage__Output } from '../shared/rpc/generated/gradloom/v1/AgreeMessage.js';
import type { AgreeReply } from '../shared/rpc/generated/gradloom/v1/AgreeReply.js';
import type { Hello__Output } from '../shared/rpc/generated/gradloom/v1/Hello.js';
import type { ParametersHandlers } from '../shared/rpc/generated/gradloom/v1/Parameters.js';
import { PROTOCOL_VERSION } from '../shared/rpc/proto.js';
import { Refused, refuse } from '../shared/rpc/refusal.js';
import type { HostedRun, PushCall } from './hosted-run.js';
import type { ServerMetrics } from './metrics.js';
import type { PullCall } from './reader.js';

/** Shards that a server holds as their primary: by run, and by their index in the placement. */
export type HostedRuns = ReadonlyMap<string, ReadonlyMap<number, HostedRun>>;

type AgreeCall = grpc.ServerDuplexStream<AgreeMessage__Output, AgreeReply>;

function runOf(
  runs: HostedRuns,
  hello: Hello__Output | AgreeHello__Output | undefined | null,
  shard?: number,
): HostedRun {
  if (!hello)
    throw refuse('MALFORMED', 'expected hello as the first message of the stream, got something else');
  if (hello.protocolVersion !== PROTOCOL_VERSION)
    throw refuse(
      'PROTOCOL_VERSION',
      `expected protocol version ${PROTOCOL_VERSION}, got ${hello.protocolVersion}; run the same gradloom on every node`,
    );
  const shards = runs.get(hello.run);
  if (!shards)
    throw refuse(
      'UNKNOWN_RUN',
      `expected a run that is held here, got '${hello.run.slice(0, 80)}'; it has ended or never began`,
    );
  const [first] = shards.values();
  const run = shard === undefined ? first : shards.get(shard);
  if (!run)
    throw refuse(
      'NOT_NOW',
      `expected a shard of which this server is the primary, got shard ${shard}; read who it is from the view`,
    );
  if (!hello.schemaHash.equals(schemaHash(run.spec.tensors)))
    throw refuse(
      'SCHEMA',
      "expected the schema hash of the run's model, got another; start every worker with the same job",
    );
  return run;
}

/** The run that a first message names. Throws Refused where it does not fit. */
export function checkHello(runs: HostedRuns, hello: Hello__Output | undefined | null): HostedRun {
  const run = runOf(runs, hello, hello?.shard);
  const { number } = run.view;
  // Whoever only reads needs the placement alone, which is that of every view so far; a worker whose stream broke may
  // be on one side of a change of view, and this server on the other. Headers say whose each step is.
  const oldest = hello?.observer ? 1 : Math.max(1, number - 1);
  if (hello && (hello.view < oldest || hello.view > run.newestView))
    throw refuse(
      'STALE_VIEW',
      `expected view ${number}, got ${hello.view}; ask the keeper for the current one`,
    );
  const isMember = run.view.workers.some(({ rank }) => rank === hello?.worker);
  if (hello && !hello.observer && run.view.number > 1 && !isMember)
    throw refuse('STALE_VIEW', `worker ${hello.worker} has left the run: view ${number} is without it`);
  if (hello && !hello.observer && hello.worker >= run.spec.workers)
    throw refuse('UNKNOWN_WORKER', `expected a rank below ${run.spec.workers}, got ${hello.worker}`);
  return run;
}

export interface Endable {
  end(): void;
  write(message: { refusal: { code: number; sentence: string } }): boolean;
}

/** Runs `work`; a refusal goes to the peer and ends its stream. Anything else is a bug of ours and is thrown. */
export function guarded(
  call: Endable,
  metrics: Pick<ServerMetrics, 'refused'>,
  onRefused: (error: Refused) => void,
  work: () => void,
): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    metrics.refused(error.label);
    onRefused(error);
    call.write({ refusal: error.toMessage() as never });
    call.end();
  }
}

export function parametersHandlers(
  runs: HostedRuns,
  metrics: ServerMetrics,
  log: (message: string) => void,
): ParametersHandlers {
  const report = (what: string, peer: string) => (error: Refused) =>
    log(`${what} from ${peer} refused: ${error.sentence}`);
  return {
    Push(call: PushCall) {
      let run: HostedRun | undefined;
      let rank = -1;
      let refused = false;
      const detach = () => run?.detachWriter(rank, call);
      call.on('data', (message) => {
        if (refused) return;
        guarded(
          call as Endable,
          metrics,
          (error) => {
            refused = true;
            detach();
            report('push', call.getPeer())(error);
          },
          () => {
            if (run) return run.push(rank, message);
            const hosted = checkHello(runs, message.hello);
            if (message.hello?.observer)
              throw refuse(
                'UNKNOWN_WORKER',
                'expected a worker of the view, got an observer; observers only pull',
              );
            run = hosted;
            rank = message.hello?.worker ?? -1;
            run.attachWriter(rank, call);
          },
        );
      });
      call.on('end', () => {
        detach();
        call.end();
      });
      call.on('cancelled', detach);
      call.on('error', (error) => {
        detach();
        log(`push stream of ${call.getPeer()} broke: ${sentence(error)}`);
      });
    },
    Pull(call: PullCall) {
      let run: HostedRun | undefined;
      let reader: ReturnType<HostedRun['attachReader']> | undefined;
      let refused = false;
      const detach = () => {
        if (reader) run?.detachReader(reader);
      };
      call.on('data', (message) => {
        if (refused) return;
        guarded(
          call as Endable,
          metrics,
          (error) => {
            refused = true;
            detach();
            report('pull', call.getPeer())(error);
          },
          () => {
            if (!run || !reader) {
              run = checkHello(runs, message.hello);
              reader = run.attachReader(call, message.hello?.observer ? undefined : message.hello?.worker);
            } else if (message.subscribe) run.subscribe(reader, message.subscribe);
            else if (message.fetch) run.fetch(reader, message.fetch);
            else throw refuse('MALFORMED', 'expected subscribe or fetch, got an empty message');
          },
        );
      });
      call.on('end', () => {
        detach();
        call.end();
      });
      call.on('cancelled', detach);
      call.on('error', (error) => {
        detach();
        log(`pull stream of ${call.getPeer()} broke: ${sentence(error)}`);
      });
    },
    Agree(call: AgreeCall) {
      let run: HostedRun | undefined;
      let server = -1;
      let refused = false;
      call.on('data', ({ hello, norms, cut }) => {
        if (refused) return;
        guarded(
          call as Endable,
          metrics,
          (error) => {
            refused = true;
            report('agreement', call.getPeer())(error);
          },
          () => {
            if (run && norms) return run.norms(server, norms);
            if (run && cut) return run.cut(server, cut);
            if (run) throw refuse('MALFORMED', 'expected norms or contributors, got an empty message');
            const hosted = runOf(runs, hello);
            if (hello?.view !== 1)
              throw refuse(
                'STALE_VIEW',
                `expected the view that placed the blocks, 1, got ${hello?.view}; run the same gradloom on every node`,
              );
            server = hello?.server ?? -1;
            if (server >= hosted.view.servers.length)
              throw refuse(
                'MALFORMED',
                `expected a server of the view's ${hosted.view.servers.length}, got ${server}`,
              );
            run = hosted;
          },
        );
      });
      call.on('end', () => call.end());
      call.on('error', (error) => log(`agree stream of ${call.getPeer()} broke: ${sentence(error)}`));
    },
  } as ParametersHandlers;
}
