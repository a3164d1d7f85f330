// Carries out one fault on running processes, and waits until it is over.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { holdersOf } from '../../server/replication/placement.js';
import { stateBytes } from '../../server/shard-memory.js';
import type { DescribeReply__Output } from '../../shared/rpc/generated/gradloom/v1/DescribeReply.js';
import { layoutOf } from '../../shared/run/spec.js';
import { fromWire } from '../../shared/run/wire.js';
import { snapshotFolders } from '../../shared/snapshot/find.js';
import { FolderStore } from '../../shared/snapshot/folder-store.js';
import { MANIFEST_FILE } from '../../shared/snapshot/manifest.js';
import { shardsOf } from '../../shared/view.js';
import type { MeshRun } from './mesh-run.js';
import type { Fault } from './scenario.js';

/** How often the folder of snapshots is looked at for one that is being written. */
const LOOK_MS = 2;

export interface Injected {
  kind: Fault['kind'];
  /** Whom it met: a process, the link to one, or all. */
  target: string;
  pid?: number;
  /** The step that somebody had done. */
  afterStep: number;
  /** When it began (ms, monotonic). */
  atMs: number;
  /** Of kill-all: the step from which the run went on, and that of the newest snapshot that was told to be whole. */
  fromStep?: number;
  wholeStep?: number;
  /** Of drain: what was copied, and what the server held, of which every copy must be made elsewhere. */
  movedBytes?: number;
  leastBytes?: number;
}

/**
 * Resolves when the fault is over: what was stopped goes on, what was killed is replaced or done without.
 * @param snapshots folder, where some are taken
 */
export async function inject(
  fault: Fault,
  afterStep: number,
  mesh: MeshRun,
  snapshots: string | undefined,
): Promise<Injected> {
  const { kind } = fault;
  const begun = (target: string, more: Partial<Injected> = {}) => ({
    ...{ kind, target, afterStep, atMs: performance.now() },
    ...more,
  });
  switch (fault.kind) {
    case 'kill': {
      const { process, exited } = mesh.child(fault.role, fault.index);
      const recovery = fault.recovers ? mesh.recovery(fault.role, fault.index) : undefined;
      const injected = begun(`${fault.role} ${fault.index}`, { pid: process.pid });
      process.kill('SIGKILL');
      await Promise.all([exited, recovery]);
      return injected;
    }
    case 'stop': {
      const { process } = mesh.child(fault.role, fault.index);
      const injected = begun(`${fault.role} ${fault.index}`, { pid: process.pid });
      process.kill('SIGSTOP');
      await pause(1000 * fault.seconds);
      process.kill('SIGCONT');
      return injected;
    }
    case 'slow': {
      const injected = begun(`the link to server ${fault.index}`);
      mesh.shape(fault.delayMs, fault.bytesPerSecond);
      await pause(1000 * fault.seconds);
      mesh.shape();
      return injected;
    }
    case 'join': {
      const injected = begun('one more server');
      await mesh.join();
      return injected;
    }
    case 'drain': {
      const injected = begun(`server ${fault.index}`);
      const [before, leastBytes] = [
        await mesh.copiedBytes(fault.index),
        heldBytes(await mesh.description(), fault.index),
      ];
      await mesh.drain(fault.index);
      // What others hold for those who took over has been compared, and copied where it was another, when steps end again.
      await mesh.goesOn();
      return { ...injected, leastBytes, movedBytes: (await mesh.copiedBytes(fault.index)) - before };
    }
    case 'kill-all': {
      const folder = snapshots as string;
      // Those that earlier kills have torn stay as they are.
      const torn = new Set(await unfinished(folder));
      while ((await unfinished(folder)).every((step) => torn.has(step))) await pause(LOOK_MS);
      const injected = begun('all');
      await mesh.killAll();
      const told = mesh.events.filter(({ event, failure }) => event === 'snapshot' && failure === undefined);
      await mesh.start([`--resume=${folder}`]);
      const start = mesh.events.findLast(({ event }) => event === 'start');
      const wholeStep = Math.max(0, ...told.map(({ step }) => step as number));
      return { ...injected, fromStep: start?.fromStep as number, wholeStep };
    }
  }
}

/** Folders of snapshots that are begun and not whole; empty as long as none is whole. */
async function unfinished(folder: string): Promise<string[]> {
  const runs = (await readdir(folder)).map((name) => snapshotFolders(new FolderStore(join(folder, name))));
  const steps = (await Promise.all(runs)).flat().map(({ path }) => path);
  const torn = steps.filter((step) => !existsSync(join(step, MANIFEST_FILE)));
  return torn.length < steps.length ? torn : [];
}

/** Bytes of the copies that a server holds. */
function heldBytes({ view, spec: wire }: DescribeReply__Output, server: number): number {
  const spec = fromWire(wire);
  if (!view) return 0;
  const shards = shardsOf(view);
  return layoutOf(spec)
    .blocks.filter(({ index }) => holdersOf(shards[view.placement[index]]).includes(server))
    .reduce((sum, block) => sum + stateBytes(block, spec.optimizer, spec.codec), 0);
}
