// What a server does while it is the keeper: the coordinator behind the Membership service, and the snapshots of its
// runs. After another keeper it begins with what that one has left, and waits for those who were there to come back.
import { deflateRawSync } from 'node:zlib';
import { KEEPER_RENEWAL_MS, STATE_MAX_BYTES } from '../../shared/limits.js';
import { refuse } from '../../shared/rpc/refusal.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { Coordinator } from '../coordinator.js';
import { restore, type State, save, specBytes } from '../coordinator-state.js';
import type { MembershipService } from '../membership-service.js';
import type { SnapshotKeeper } from '../snapshot/keeper.js';
import type { Ledger, Role } from './coordination.js';
import { isNobodyThere } from './nobody-there.js';

/** Of a view: a block's owner, and as much again for what is kept of it beside. */
const BYTES_OF_BLOCK = 16;

export interface KeeperRoleOptions {
  membership: MembershipService;
  snapshots(coordinator: Coordinator): SnapshotKeeper;
  /** How long those who were here under the keeper before are waited for. */
  peerDeadlineMs: number;
  log(message: string): void;
}

export function keeperRole({ membership, snapshots, peerDeadlineMs, log }: KeeperRoleOptions): Role {
  let patience: NodeJS.Timeout | undefined;
  let asking: NodeJS.Timeout | undefined;
  return {
    begin(left: State, ledger?: Ledger) {
      const coordinator = new Coordinator();
      membership.keep(
        coordinator,
        ledger && {
          write: (then) => ledger.write(() => save(coordinator.lasting), then),
          checkRun,
        },
      );
      membership.snapshots = snapshots(coordinator);
      if (left.size === 0) return;
      membership.dispatch(coordinator.takeOver(restore(left)));
      log(
        `this server is the keeper now: it waits for ${coordinator.servers.size} servers and the workers of ${coordinator.runs.size} runs to come back`,
      );
      asking = setInterval(() => {
        if (!coordinator.isRecovering) return clearInterval(asking);
        for (const { id, address } of coordinator.absentServers)
          void isNobodyThere(address).then((isGone) => {
            if (isGone && membership.coordinator === coordinator)
              membership.dispatch(coordinator.absentServerGone(id, 'nobody listens there any more'));
          });
      }, KEEPER_RENEWAL_MS / 2);
      patience = setTimeout(() => {
        if (!coordinator.isRecovering) return;
        membership.dispatch(
          coordinator.giveUp(
            `it did not come back within ${peerDeadlineMs / 1000} s after the keeper had changed`,
          ),
        );
      }, peerDeadlineMs);
    },
    end() {
      clearTimeout(patience);
      clearInterval(asking);
      membership.snapshots?.close();
      membership.snapshots = undefined;
      membership.stopKeeping();
    },
  };
}

/** Whether what has to be kept of a run fits. Throws Refused. */
function checkRun(spec: RunSpec): void {
  const bytes = deflateRawSync(specBytes(spec)).length + BYTES_OF_BLOCK * layoutOf(spec).blocks.length;
  if (bytes > STATE_MAX_BYTES)
    throw refuse(
      'RUN_SPEC',
      `expected a run whose description takes at most ${STATE_MAX_BYTES} bytes in etcd, got one of ${bytes}; give its tensors shorter names, or go without --etcd`,
    );
}
