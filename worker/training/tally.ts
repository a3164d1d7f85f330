// What has come of a worker's steps so far: seconds by phase, samples, bytes, and steps that others took without it.
import type { Bytes } from '../../shared/client/membership.js';
import type { Exchanged, Stepped } from '../exchange/messages.js';

const PHASES = ['data', 'compute', 'encode', 'wait', 'decode', 'apply', 'optimizer', 'rows'] as const;
export type Phase = (typeof PHASES)[number];

export interface TallyOptions {
  workers: number;
  /** There are backup workers: steps may go on without some. */
  backed: boolean;
}

export class Tally {
  readonly #seconds = new Map<Phase, number>(PHASES.map((phase) => [phase, 0]));
  readonly #late: number[];
  readonly #backed: boolean;
  #pushed = 0;
  #pulled = 0;
  #retried = 0;
  /** Numbers that the pushed payload stands for. */
  #elementsPushed = 0;
  /** Whether any step was taken with a clock of this worker's own. */
  #clocked = false;
  /** Steps that all workers took together, and their samples; else each update is one worker's, with its share. */
  #commonSteps = 0;
  #commonSamples = 0;
  /** Samples behind the steps, skipped ones not counted. */
  samples = 0;
  /** Without evaluations. */
  trainSeconds = 0;
  /** Updates applied, as known since all have last met. */
  updates = 0;

  constructor({ workers, backed }: TallyOptions) {
    this.#late = new Array<number>(workers).fill(0);
    this.#backed = backed;
  }

  took(phase: Phase, seconds: number): void {
    this.#seconds.set(phase, (this.#seconds.get(phase) ?? 0) + seconds);
  }

  /** What came of a step. */
  add({ local, exchanged }: Stepped): void {
    if (local) this.took('optimizer', local.optimizerSeconds);
    if (exchanged) this.#addExchange(exchanged);
  }

  #addExchange(round: Exchanged): void {
    this.took('encode', round.encodeSeconds);
    this.took('wait', round.waitSeconds);
    this.took('decode', round.decodeSeconds);
    this.#pushed += round.bytesPushed;
    this.#pulled += round.bytesPulled;
    this.#retried += round.bytesRetried;
    this.#elementsPushed += round.elementsPushed;
    this.#clocked ||= round.clocked;
    if (!round.clocked) this.#commonSteps += round.steps;
    if (!round.clocked && !round.skipped) this.#commonSamples += round.samples;
    for (const [rank, steps] of round.late.entries()) this.#late[rank] += steps;
    if (!round.skipped) this.samples += round.samples;
  }

  /** All have met at the end of an epoch. @param updates as the servers count them */
  met(updates: number): void {
    this.updates = this.#clocked ? updates : this.#commonSteps;
  }

  /** Samples behind all updates. @param share of one worker in a step */
  samplesOfAll(share: number): number {
    return this.#commonSamples + Math.round((this.updates - this.#commonSteps) * share);
  }

  /** With backup workers: by rank, steps that went on without the worker. */
  get late(): { lateContributions?: number[] } {
    return this.#backed ? { lateContributions: [...this.#late] } : {};
  }

  get bytes(): Bytes {
    return { bytesPushed: this.#pushed, bytesPulled: this.#pulled, bytesRetried: this.#retried };
  }

  get elementsPushed(): number {
    return this.#elementsPushed;
  }

  /** Means of a step. @param has which of the phases that not every run has this one has */
  phaseSeconds(steps: number, has: Partial<Record<Phase, boolean>>): Record<string, number> {
    const kept = [...this.#seconds].filter(([phase]) => has[phase] ?? true);
    return Object.fromEntries(kept.map(([phase, seconds]) => [phase, seconds / steps]));
  }
}
