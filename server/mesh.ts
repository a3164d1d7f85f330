// A server's own membership: its stream to the keeper (the keeper has one to itself, so that there is one way).
// Prepares and ends shards as the keeper orders. When the keeper goes, so does the mesh.
import * as grpc from '@grpc/grpc-js';
import { isExpected, RunError, sentence } from '../shared/errors.js';
import type { PrepareRun__Output } from '../shared/rpc/generated/gradloom/v1/PrepareRun.js';
import type { ServerOrder__Output } from '../shared/rpc/generated/gradloom/v1/ServerOrder.js';
import type { ServerReport } from '../shared/rpc/generated/gradloom/v1/ServerReport.js';
import type { SnapshotPart } from '../shared/rpc/generated/gradloom/v1/SnapshotPart.js';
import type { TakeSnapshot__Output } from '../shared/rpc/generated/gradloom/v1/TakeSnapshot.js';
import type { View__Output } from '../shared/rpc/generated/gradloom/v1/View.js';
import { MembershipStub, PROTOCOL_VERSION } from '../shared/rpc/proto.js';
import { RefusalCode, Refused } from '../shared/rpc/refusal.js';
import { channelOptions } from '../shared/rpc/transport.js';
import { fromWire, type RunSpec } from '../shared/run-spec.js';

export interface MeshOptions {
  keeperAddress: string;
  address: string;
  label: string;
  memoryBytes: number;
  peerDeadlineMs: number;
  /** Makes the shard of a run. May throw an expected error. */
  prepare(
    run: string,
    spec: RunSpec,
    view: View__Output,
    serverId: number,
    report: (part: SnapshotPart) => void,
  ): Promise<void>;
  /** A part of a snapshot is wanted. */
  snapshot(order: TakeSnapshot__Output): void;
  end(run: string, reason: string): void;
  /** The keeper is gone. */
  lost(error: RunError): void;
}

export interface Mesh {
  readonly serverId: number;
  leave(): void;
}

/** Joins the mesh; resolves when the keeper has answered. Throws Refused or RunError. */
export function joinMesh(options: MeshOptions): Promise<Mesh> {
  const client = new MembershipStub(
    options.keeperAddress,
    grpc.credentials.createInsecure(),
    channelOptions(options.peerDeadlineMs),
  );
  const call = client.Serve() as unknown as grpc.ClientDuplexStream<ServerReport, ServerOrder__Output>;
  let serverId = -1;
  let leaving = false;
  return new Promise((resolve, reject) => {
    const gone = (reason: string) => {
      if (leaving) return;
      leaving = true;
      client.close();
      const joined = serverId >= 0;
      const error = new RunError(
        joined
          ? `the keeper at ${options.keeperAddress} is gone: ${reason}; it holds the view, so this mesh has ended`
          : `cannot join the mesh at ${options.keeperAddress}: ${reason}; start the first server there, or check the address`,
      );
      if (joined) options.lost(error);
      else reject(error);
    };
    const prepare = async ({ run, spec, view }: PrepareRun__Output) => {
      const answer = (report: ServerReport) => {
        if (!leaving) call.write({ run, ...report });
      };
      try {
        if (!view) throw new RunError('the order to prepare has no view');
        await options.prepare(run, fromWire(spec), view, serverId, (snapshot) => answer({ snapshot }));
        answer({ prepared: {} });
      } catch (error) {
        if (!isExpected(error)) throw error;
        const code = error instanceof Refused ? (error.code as 1) : RefusalCode.REFUSAL_CODE_MEMORY;
        answer({ refused: { code, sentence: sentence(error) } });
      }
    };
    call.on('data', (order: ServerOrder__Output) => {
      if (order.welcome) {
        serverId = order.welcome.id;
        resolve({
          serverId,
          leave() {
            leaving = true;
            call.end();
            client.close();
          },
        });
      } else if (order.refusal) {
        const { code, sentence } = order.refusal;
        if (serverId >= 0) return gone(`it refused this server: ${sentence}`);
        leaving = true;
        client.close();
        reject(new Refused(code, sentence, `the keeper at ${options.keeperAddress}`));
      } else if (order.prepare) {
        void prepare(order.prepare);
      } else if (order.snapshot) {
        options.snapshot(order.snapshot);
      } else if (order.end) {
        options.end(order.end.run, order.end.reason);
      }
    });
    call.on('error', (error: grpc.ServiceError) => gone(error.details || sentence(error)));
    call.on('end', () => gone('it ended the stream'));
    call.write({
      hello: {
        protocolVersion: PROTOCOL_VERSION,
        address: options.address,
        memoryBytes: options.memoryBytes,
        label: options.label,
      },
    });
  });
}
