// How workers wait for each other, which is what a change of view may change in a running run.
import { codecFault } from '../codec/allowed-pairs.js';
import { tablesFault } from '../rows/tables.js';
import { refuse } from '../rpc/refusal.js';
import { consistencyFault, normsFault } from './faults.js';
import { CONSISTENCY_IDS, consistencyOf, type RunSpec } from './spec.js';

/** How workers wait for each other: what a change of view may change. */
export type Rules = Pick<RunSpec, 'consistency' | 'staleness'>;

/** What a view carries of the rules. */
export function rulesToWire({ consistency, staleness = 0 }: Rules): {
  consistency: 1 | 2 | 3 | 4;
  staleness: number;
} {
  return { consistency: CONSISTENCY_IDS[consistency], staleness };
}

/** The spec of a run as it stands under a view; one without a consistency leaves it as it is. */
export function specUnder(spec: RunSpec, view: { consistency?: number; staleness?: number }): RunSpec {
  const consistency = consistencyOf(view.consistency);
  if (!consistency) return spec;
  const { staleness: _, ...rest } = spec;
  return { ...rest, consistency, ...(consistency === 'ssp' ? { staleness: view.staleness ?? 0 } : {}) };
}

/**
 * The spec of a running run with other rules. Throws Refused where it cannot have them: `local` keeps its optimizer's
 * state on the workers, the others on the servers, and the rest is as at the start of a run.
 */
export function specWithRules(spec: RunSpec, rules: { consistency?: number; staleness?: number }): RunSpec {
  const name = consistencyOf(rules.consistency);
  if (name !== spec.consistency && (name === 'local' || spec.consistency === 'local'))
    throw refuse(
      'RUN_SPEC',
      `expected a running run to stay ${spec.consistency === 'local' ? 'local' : 'out of local'}, got ${spec.consistency} to ${name}: the state of the optimizer would have to move between servers and workers; start another run`,
    );
  if (spec.elastic)
    throw refuse('RUN_SPEC', 'expected a run without --elastic, which keeps bsp as it is; start another run');
  if (spec.backupWorkers)
    throw refuse(
      'RUN_SPEC',
      `expected a run without backup workers, got ${spec.backupWorkers}: no step is common to all workers from which other rules could hold; start another run`,
    );
  if (name === 'local')
    throw refuse(
      'RUN_SPEC',
      'expected bsp, ssp or asp, got local to local: the length of its rounds is fixed when it starts',
    );
  const { staleness } = rules;
  const next = name && specUnder(spec, rules);
  const fault = next
    ? (consistencyFault(name, name === 'ssp' ? staleness : staleness || undefined) ??
      normsFault(name, spec.optimizer) ??
      tablesFault(spec.tables ?? [], name))
    : `expected a consistency of ${Object.keys(CONSISTENCY_IDS).join(', ')}, got number ${rules.consistency}`;
  if (!next || fault) throw refuse('RUN_SPEC', fault ?? '');
  const pair = codecFault(spec.codec, spec.optimizer, name);
  if (pair) throw refuse('CODEC_PAIR', pair);
  return next;
}
