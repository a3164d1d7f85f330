// An evaluation of a run: each worker hands in its share, and when all are there everyone gets the whole, added in the
// order of ranks. Functions over a run: what is under way stands there.
import { refuse } from '../../shared/rpc/refusal.js';
import {
  type EvaluationPart,
  type Order,
  type Run,
  toWorkers,
  type WholeEvaluation,
  type WorkerEntry,
} from './run.js';

/** One worker's share of an evaluation; when all are there, everyone gets the whole, added in rank order. Throws Refused. */
export function evaluationPart(
  run: Run,
  worker: WorkerEntry,
  step: number,
  { view = 1, again = false, ...part }: EvaluationPart & { view?: number; again?: boolean },
): Order[] {
  const { connection } = worker;
  if (again && run.evaluated?.step === step)
    return [{ to: 'worker', connection, order: { evaluation: run.evaluated } }];
  // Before the step of the view nobody can go by it; whoever has left had his share in a whole that nobody knows any more.
  if (view < (run.view?.number ?? 0) && run.view?.departed && step >= run.view.fromStep) {
    const anew = { step, records: 0, loss: 0, accuracy: 0 };
    return [{ to: 'worker', connection, order: { evaluation: anew } }];
  }
  if (run.evaluation.size > 0 && run.evaluationStep !== step)
    throw refuse(
      'STEP',
      `worker ${worker.rank}: expected its share of the evaluation at step ${run.evaluationStep}, got step ${step}`,
    );
  const shares = new Map(run.evaluation).set(worker.rank, part);
  if (shares.size === run.workers.length && [...shares.values()].every(({ records }) => records === 0))
    throw refuse('MALFORMED', 'expected an evaluation over at least one record, got none from any worker');
  run.evaluationStep = step;
  run.evaluation.set(worker.rank, part);
  return evaluated(run);
}

/** The whole, when all shares are there. While somebody leaves, nobody is asked for his share of it yet. */
export function evaluated(run: Run): Order[] {
  const { evaluation: shares, evaluationStep: step } = run;
  if (run.change?.leaving || run.workers.some(({ rank }) => !shares.has(rank))) return [];
  const parts = run.workers.map(({ rank }) => shares.get(rank) as EvaluationPart);
  const sum = (of: (share: EvaluationPart) => number) => parts.reduce((total, share) => total + of(share), 0);
  const records = sum((share) => share.records);
  const evaluation = {
    step,
    records,
    loss: sum((share) => share.lossSum) / records,
    accuracy: sum((share) => share.correct) / records,
  };
  run.evaluation.clear();
  run.evaluationStep = -1;
  run.evaluated = evaluation;
  return toWorkers(run, { evaluation });
}

/** Tells who has given its share of an evaluation whose are missing. */
export function evaluationWaits(run: Run): Order[] {
  if (run.evaluation.size === 0) return [];
  const missing = run.workers.flatMap(({ rank }) => (run.evaluation.has(rank) ? [] : [rank]));
  const order = { evaluationWait: { step: run.evaluationStep, workers: missing } };
  return run.workers
    .filter(({ rank }) => run.evaluation.has(rank))
    .map(({ connection }): Order => ({ to: 'worker', connection, order }));
}

/** The workers that were have become fewer: whoever has given a share of what was open is asked for it again. */
export function askedAgain(run: Run): Order[] {
  // Shares of an evaluation were of the workers that were.
  if (run.evaluation.size === 0) return [];
  if (run.evaluationStep < (run.view?.fromStep ?? 0)) return evaluated(run);
  const evaluation = { step: run.evaluationStep, records: 0, loss: 0, accuracy: 0 };
  const asked = run.workers.filter(({ rank }) => run.evaluation.has(rank));
  run.evaluation.clear();
  return asked.map(({ connection }): Order => ({ to: 'worker', connection, order: { evaluation } }));
}

/** Those who have handed their share in again of an evaluation that somebody was told. */
export function toldBefore(run: Run, evaluation: WholeEvaluation): Order[] {
  if (run.evaluationStep !== evaluation.step) return [];
  const asked = run.workers.filter(({ rank }) => run.evaluation.has(rank));
  run.evaluation.clear();
  run.evaluationStep = -1;
  return asked.map(({ connection }) => ({ to: 'worker', connection, order: { evaluation } }));
}
