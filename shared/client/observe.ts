// What whoever only reads a run knows of it. Nobody sends it views, so it asks the keeper: at the beginning, and who holds
// the shards when a link is lost. In etcd, where another keeper follows one that is gone, it asks until one answers.
import { setTimeout as pause } from 'node:timers/promises';
import { isInEtcd } from '../config/place.js';
import { RunError } from '../errors.js';
import { ETCD_RETRY_MS } from '../limits.js';
import type { RunSpec__Output } from '../rpc/generated/gradloom/v1/RunSpec.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import { RefusalCode, Refused } from '../rpc/refusal.js';
import { describe } from './membership.js';

export interface Observed {
  readonly run: string;
  readonly spec: RunSpec__Output | null;
  readonly view: View__Output;
}

/**
 * Spec and view of a running run (empty: the only one) as they are now. Throws Refused where there is none, and RunError
 * where no keeper has answered in time.
 * @param place as in config/place.ts
 */
export async function observe(place: string, run: string, deadlineMs: number): Promise<Observed> {
  const since = performance.now();
  for (;;) {
    try {
      const { run: id, spec, view } = await describe(place, run, deadlineMs);
      if (!view)
        throw new RunError(
          `the keeper at ${place} described run '${id}' without a view; run the same gradloom on every node`,
        );
      return { run: id, spec, view };
    } catch (error) {
      const mayAnswer =
        error instanceof RunError &&
        (!(error instanceof Refused) || error.code === RefusalCode.REFUSAL_CODE_NOT_NOW);
      if (!isInEtcd(place) || !mayAnswer || performance.now() - since > deadlineMs) throw error;
      await pause(ETCD_RETRY_MS);
    }
  }
}
