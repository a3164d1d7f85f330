// What a worker says while it trains: the JSON lines of --json, and what the display and the curve are made of.

export type TrainEvent =
  /** A node with both roles: others reach its server here. */
  | { event: 'serving'; address: string }
  | { event: 'ready'; role: 'worker' | 'evaluator'; metrics: string }
  /** An evaluator: there is no such run yet. */
  | { event: 'awaiting-run'; keeper: string; run: string }
  | { event: 'observing'; run: string; label: string; everySteps: number }
  /** Of the test set, on the masters after `step` steps; skew 0: the same on all servers. */
  | {
      event: 'evaluation';
      step: number;
      skew: number;
      loss: number;
      accuracy: number;
      records: number;
      seconds: number;
    }
  | { event: 'finished-observing'; run: string }
  | { event: 'backend'; backend: string; why: string }
  | { event: 'data'; name: string; warm: boolean; train: number; test: number; seconds: number }
  | { event: 'preparing'; done: number; total: number; phase: string }
  | {
      event: 'joined';
      run: string;
      rank: number;
      workersJoined: number;
      workersExpected: number;
      servers: number;
    }
  | {
      event: 'start';
      run: string;
      rank: number;
      servers: number;
      /** Servers that hold each part of the model; 1: one that dies ends the run. */
      replicas: number;
      workers: number;
      epochs: number;
      stepsPerEpoch: number;
      globalBatch: number;
      /** Micro-batches in which this worker computes its part of a batch. */
      accumulate: number;
      parameters: number;
      /** Steps that were done before, in the snapshot that the run goes on from; 0: it begins. */
      fromStep: number;
    }
  /** A snapshot of the run is whole, or why there is none. */
  | {
      event: 'snapshot';
      run: string;
      step: number;
      path?: string;
      bytes?: number;
      seconds?: number;
      failure?: string;
    }
  /** A copy of a part of the model was not equal to that of its primary, and has been mended. */
  | { event: 'diverged'; run: string; text: string }
  /** What is to be known and stops nobody. */
  | { event: 'notice'; text: string }
  /** From the step `fromStep` on (counted from 0) another view of the run holds. */
  | {
      event: 'view';
      number: number;
      fromStep: number;
      consistency: string;
      /** Only with ssp. */
      staleness?: number;
      /** Ranks of those who go on. */
      members: number[];
      /** Rank of the worker without which they do, and why. */
      departed?: number;
      reason?: string;
    }
  /** In the middle of this step a shard has gone over to the server that had its copy. */
  | { event: 'takeover'; shard: number; step: number; from: string; to: string }
  | { event: 'waiting'; step: number; workers: string[]; seconds: number; server: string }
  /** Under `local`: a step of this worker on its own parameters; the round's end says `step` for all workers. */
  | {
      event: 'local-step';
      /** Its rank. */
      worker: number;
      epoch: number;
      /** Steps done. */
      step: number;
      steps: number;
      /** Of this worker's batch; null where it was not finite. */
      loss: number | null;
      accuracy: number;
      skipped: boolean;
    }
  /** A step of all workers; under `local` a round of steps. */
  | {
      event: 'step';
      epoch: number;
      /** Steps done; under ssp and asp by this worker. */
      step: number;
      steps: number;
      /** Under ssp and asp: the rank whose own step this is; loss, accuracy and samplesPerSecond are then its own. */
      worker?: number;
      /** Behind loss and accuracy, over all workers; under ssp and asp this worker's own. */
      samples: number;
      loss: number;
      accuracy: number;
      skipped: boolean;
      notFinite: number[];
      /**
       * With backup workers: by rank, steps so far that went on without the worker. Samples, loss and accuracy are then
       * those of all steps since this worker's last event.
       */
      lateContributions?: number[];
      samplesPerSecond: number;
      seconds: number;
      /** Payload of this worker since the start. */
      bytesPushed: number;
      bytesPulled: number;
      /** Numbers that the pushed payload stands for. */
      elementsPushed: number;
    }
  | {
      event: 'epoch';
      epoch: number;
      epochs: number;
      step: number;
      loss: number;
      accuracy: number;
      /** With backup workers: records of the epoch that were trained on; what came late was not. */
      samples?: number;
      /** As in `step`. */
      lateContributions?: number[];
      seconds: number;
    }
  /** A worker other than rank 0 has ended; rank 0 saves, and says `done`. */
  | { event: 'finished'; run: string; rank: number }
  | { event: 'done'; summary: object; folder: string };
