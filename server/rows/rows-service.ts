// The gRPC face of the rows: opens Push and Pull streams, checks that their first message fits the run, and hands the
// rest to it. A refusal is written to the stream and ends it; the server lives on.
import { sentence } from '../../shared/errors.js';
import type { Hello__Output } from '../../shared/rpc/generated/gradloom/v1/Hello.js';
import type { RowsHandlers } from '../../shared/rpc/generated/gradloom/v1/Rows.js';
import type { RowsPullMessage__Output } from '../../shared/rpc/generated/gradloom/v1/RowsPullMessage.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { ServerMetrics } from '../metrics.js';
import { checkHello, type Endable, guarded, type HostedRuns } from '../parameters-service.js';
import type { HostedRows, RowReader, RowsPullCall, RowsPushCall } from './hosted-rows.js';

interface Stream extends Endable {
  on(event: 'data', listener: (message: never) => void): unknown;
  on(event: 'end' | 'cancelled', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  getPeer(): string;
}

export function rowsHandlers(
  runs: HostedRuns,
  hosted: ReadonlyMap<string, HostedRows>,
  metrics: ServerMetrics,
  log: (message: string) => void,
): RowsHandlers {
  const open = (hello: Hello__Output | null | undefined): { rows: HostedRows; hello: Hello__Output } => {
    const run = checkHello(runs, hello);
    const rows = hosted.get(run.id);
    if (!rows)
      throw refuse(
        'ROW',
        `expected a run with tables, got '${run.id}', which has none; declare them in its spec`,
      );
    return { rows, hello: hello as Hello__Output };
  };

  /** Hands each message on; after a refusal none. `detach` is called when the stream is over, however it ends. */
  const serve = <Message>(
    call: Stream,
    what: string,
    handle: (message: Message) => void,
    detach: () => void,
  ) => {
    let refused = false;
    call.on('data', (message: Message) => {
      if (refused) return;
      guarded(
        call,
        metrics,
        (error) => {
          refused = true;
          detach();
          log(`${what} of rows from ${call.getPeer()} refused: ${error.sentence}`);
        },
        () => handle(message),
      );
    });
    call.on('end', () => {
      detach();
      call.end();
    });
    call.on('cancelled', detach);
    call.on('error', (error) => {
      detach();
      log(`${what} stream of rows of ${call.getPeer()} broke: ${sentence(error)}`);
    });
  };

  return {
    Push(call: RowsPushCall) {
      let rows: HostedRows | undefined;
      let rank = -1;
      serve<Parameters<HostedRows['push']>[1]>(
        call as unknown as Stream,
        'push',
        (message) => {
          if (rows) return rows.push(rank, message);
          const opened = open(message.hello);
          if (opened.hello.observer)
            throw refuse(
              'UNKNOWN_WORKER',
              'expected a worker of the view, got an observer; observers only pull',
            );
          rows = opened.rows;
          rank = opened.hello.worker;
          rows.attachWriter(rank, call);
        },
        () => rows?.detachWriter(rank, call),
      );
    },
    Pull(call: RowsPullCall) {
      let rows: HostedRows | undefined;
      let reader: RowReader | undefined;
      serve<RowsPullMessage__Output>(
        call as unknown as Stream,
        'pull',
        (message) => {
          if (!rows || !reader) {
            const opened = open(message.hello);
            rows = opened.rows;
            reader = rows.attachReader(call, opened.hello.observer);
          } else if (message.request) rows.ask(reader, { request: message.request });
          else if (message.scan) rows.ask(reader, { scan: message.scan });
          else throw refuse('MALFORMED', 'expected a request for rows, got an empty message');
        },
        () => {
          if (reader) rows?.detachReader(reader);
        },
      );
    },
  } as unknown as RowsHandlers;
}
