// What a person sees of a run: a live block on a terminal, plain lines elsewhere. Made of the workers' events alone.
import { createLogUpdate } from 'log-update';
import type { Summary } from '../results/summary.js';
import type { TrainEvent } from '../training/events.js';
import { bar, count, duration, percent, size } from './format.js';

/** Between two plain lines, where nobody looks at a terminal. */
const PLAIN_LINE_MS = 5_000;
/** A silence shorter than this is not worth a line. */
const WAITING_SHOWN_SECONDS = 2;

type StepEvent = Extract<TrainEvent, { event: 'step' }>;
type LocalStepEvent = Extract<TrainEvent, { event: 'local-step' }>;
type StartEvent = Extract<TrainEvent, { event: 'start' }>;

export class Display {
  readonly #stream: NodeJS.WriteStream;
  readonly #live: ReturnType<typeof createLogUpdate> | undefined;
  #start: StartEvent | undefined;
  /** Whether rank 0 is among those shown. */
  #savesResults = false;
  #test = '';
  #waiting = '';
  #rates = '';
  #shownAt = 0;
  readonly #said = new Set<string>();

  /** @param invites whether others have to be started by hand for the run to begin */
  constructor(
    stream: NodeJS.WriteStream,
    readonly invites = true,
  ) {
    this.#stream = stream;
    if (stream.isTTY) this.#live = createLogUpdate(stream);
  }

  show(event: TrainEvent): void {
    switch (event.event) {
      case 'ready':
        return;
      case 'backend':
        return this.#once('backend', `backend ${event.why}`);
      case 'preparing':
        return this.#progress(
          `${event.phase === 'generate' ? 'making' : 'preparing'} data  ${bar(event.done / event.total)} ${count(event.done)} of ${count(event.total)} records`,
          event.done === event.total,
        );
      case 'data':
        return this.#once(
          'data',
          `data    ${event.name}: ${count(event.train)} to train on, ${count(event.test)} to test on; ` +
            (event.warm
              ? `the cache was warm (${event.seconds.toFixed(1)} s)`
              : `the cache was filled in ${event.seconds.toFixed(1)} s`),
        );
      case 'joined':
        if (!this.invites) return;
        if (event.workersJoined < event.workersExpected)
          this.#progress(
            `run     ${event.run}: ${event.workersJoined} of ${event.workersExpected} workers are here; start the others with --join, or this one with --workers ${event.workersJoined}`,
            true,
          );
        else if (event.servers === 0) this.#progress(`run     ${event.run}: waits for a server`, true);
        return;
      case 'start':
        this.#savesResults ||= event.rank === 0;
        this.#start ??= event;
        return this.#once(
          'start',
          `run     ${event.run}: ${event.servers} ${event.servers === 1 ? 'server' : 'servers'}${event.servers > 1 ? ` (each part of the model on ${event.replicas})` : ''}, ${event.workers} ${event.workers === 1 ? 'worker' : 'workers'}, ` +
            `${count(event.parameters)} parameters, ${event.epochs} ${event.epochs === 1 ? 'epoch' : 'epochs'} of ${count(event.stepsPerEpoch)} steps of ${event.globalBatch} samples${event.accumulate > 1 ? `, in ${event.accumulate} micro-batches on each worker` : ''}${event.fromStep > 0 ? `; goes on after step ${count(event.fromStep)}` : ''}`,
        );
      case 'snapshot':
        return this.#line(
          event.failure === undefined
            ? `snapshot of step ${count(event.step)} in ${event.path}  (${size(event.bytes ?? 0)}, ${event.seconds?.toFixed(1)} s)`
            : `no snapshot of step ${count(event.step)}: ${event.failure}; training goes on`,
        );
      case 'notice':
      case 'diverged':
        return this.#once(event.text, event.text);
      case 'takeover':
        return this.#once(
          `shard ${event.shard} ${event.to}`,
          `in step ${event.step} ${event.to} goes on with shard ${event.shard}, in place of ${event.from}`,
        );
      case 'view':
        if (event.departed !== undefined)
          return this.#once(
            `view ${event.number}`,
            `worker ${event.departed} has left (${event.reason}); from step ${event.fromStep} on without it, ${event.members.length} ${event.members.length === 1 ? 'worker goes' : 'workers go'} on`,
          );
        return this.#once(
          `view ${event.number}`,
          `view ${event.number}  from step ${event.fromStep} on ${event.consistency}${event.staleness === undefined ? '' : `, staleness ${event.staleness}`}`,
        );
      case 'waiting':
        if (event.seconds < WAITING_SHOWN_SECONDS) return;
        this.#waiting = `waits at step ${event.step} for ${event.workers.join(', ')} for ${event.seconds.toFixed(0)} s`;
        return this.#progress(this.#waiting, false);
      case 'local-step':
        if (event.skipped)
          return this.#line(
            `step ${event.step} was skipped by worker ${event.worker}: its gradients were not finite`,
          );
        return this.#localStep(event);
      case 'step':
        this.#waiting = '';
        if (event.skipped)
          this.#line(
            `step ${event.step} was skipped: the gradients of ${event.notFinite.map((rank) => `worker ${rank}`).join(', ')} were not finite`,
          );
        return this.#step(event);
      case 'awaiting-run':
        return this.#once('awaiting', `waits for a run at ${event.keeper}`);
      case 'observing':
        return this.#once('observing', `run     ${event.run}: evaluated every ${event.everySteps} steps`);
      case 'evaluation':
        return this.#line(
          `step ${count(event.step)}  test accuracy ${percent(event.accuracy)}, loss ${event.loss.toFixed(4)} on ${count(event.records)} records` +
            `${event.skew > 0 ? `, parameters up to ${event.skew} steps apart` : ''}  (${event.seconds.toFixed(1)} s)`,
        );
      case 'finished-observing':
        return this.#line(`Done: run ${event.run} has ended.`);
      case 'epoch':
        this.#test = `test accuracy ${percent(event.accuracy)}, loss ${event.loss.toFixed(4)}`;
        return this.#line(
          `epoch ${event.epoch}/${event.epochs}  ${this.#test} on records that training never saw  (${duration(event.seconds)})`,
        );
      case 'finished':
        // Where rank 0 is shown too, its results are the end.
        if (!this.#savesResults)
          this.#line(
            `Done: this was worker ${event.rank} of ${event.run}; worker 0 saves the model and the results.`,
          );
        return;
      case 'done':
        return this.#done(event.summary as Summary, event.folder);
    }
  }

  /** Leaves the terminal as a person expects it. */
  close(): void {
    this.#live?.done();
  }

  /** Within a round a worker speaks of itself alone; the rates are those of whole rounds. */
  #localStep({ worker, epoch, step, steps, loss, accuracy }: LocalStepEvent): void {
    const at = `epoch ${epoch}/${this.#start?.epochs}  step ${count(step)}/${count(steps)}`;
    const own = `worker ${worker}: loss ${loss?.toFixed(4)}  accuracy ${percent(accuracy)}`;
    if (!this.#live) return this.#progress(`${at}  ${own}`, false);
    this.#live([`${bar(step / steps)} ${percent(step / steps)}  ${at}`, own, this.#rates].join('\n'));
  }

  #step(event: StepEvent): void {
    const start = this.#start;
    if (!start) return;
    const rate = event.seconds / (event.step - start.fromStep);
    // What fp32 would have taken, over what was sent.
    const smaller = (4 * event.elementsPushed) / Math.max(1, event.bytesPushed);
    const whose = event.worker === undefined ? '' : ` of worker ${event.worker}`;
    const perSecond = (event.bytesPushed + event.bytesPulled) / event.seconds;
    const line =
      `epoch ${event.epoch}/${start.epochs}  step ${count(event.step)}/${count(event.steps)}  loss${whose} ${event.loss.toFixed(4)}  accuracy ${percent(event.accuracy)}  ` +
      `${count(event.samplesPerSecond)} samples/s${whose}  wire ${size(perSecond)}/s, ${smaller.toFixed(1)}× smaller than fp32  ETA ${duration((event.steps - event.step) * rate)}`;
    if (!this.#live) return this.#progress(line, event.step === event.steps);
    this.#rates = `${count(event.samplesPerSecond)} samples/s${whose}  on the wire ${size(perSecond)}/s a worker, ${smaller.toFixed(1)}× smaller than fp32`;
    this.#live(
      [
        `${bar(event.step / event.steps)} ${percent(event.step / event.steps)}  epoch ${event.epoch}/${start.epochs}  step ${count(event.step)}/${count(event.steps)}  ETA ${duration((event.steps - event.step) * rate)}`,
        `loss${whose} ${event.loss.toFixed(4)}  accuracy ${percent(event.accuracy)}${this.#test ? `  (${this.#test})` : ''}`,
        this.#rates,
      ].join('\n'),
    );
  }

  #done(summary: Summary, folder: string): void {
    this.#live?.clear();
    this.#line(
      [
        '',
        `Done: test accuracy ${summary.accuracy === null ? '–' : percent(summary.accuracy)} on records that training never saw, after ${duration(summary.trainSeconds)} (${count(summary.samplesPerSecond)} samples/s).`,
        `Model:   ${summary.modelPath}`,
        `Results: ${folder} (summary.json, loss.svg, loss.csv, model.safetensors)`,
        '',
        'Next, real images:  npm start -- --data PATH_OF_cifar-10-binary.tar.gz --epochs 5',
        'More servers:       npm start -- --servers 3 --workers 2 --codec bf16',
        'All options:        npm start -- --help',
      ].join('\n'),
    );
  }

  /** A line that stays. */
  #line(text: string): void {
    this.#live?.clear();
    this.#stream.write(`${text}\n`);
  }

  /** The same from several workers is said once. */
  #once(topic: string, text: string): void {
    if (this.#said.has(topic)) return;
    this.#said.add(topic);
    this.#line(text);
  }

  /** Replaced on a terminal; elsewhere a line now and then. */
  #progress(text: string, important: boolean): void {
    if (this.#live) return this.#live(text);
    const now = Date.now();
    if (!important && now - this.#shownAt < PLAIN_LINE_MS) return;
    if (this.#said.has(text)) return;
    if (important) this.#said.add(text);
    this.#shownAt = now;
    this.#stream.write(`${text}\n`);
  }
}
