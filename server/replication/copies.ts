// The primary's side of a shard's copies: what it does is sent to its backups, and what follows from it (acknowledgements,
// new parameters, verdicts) leaves only when every backup has applied it. So a primary that dies has told nobody of
// anything that its backup does not know, and one that is cut off from its backups, or stands still while another takes
// over, can tell nobody anything. Going on without a backup is for the view to say. With each verdict a few blocks are
// compared with the copies: nothing of the step has been applied then.
import { Arrivals } from '../../shared/client/arrivals.js';
import { TIMED_STEPS } from '../../shared/limits.js';
import type { ReplicaHello } from '../../shared/rpc/generated/gradloom/v1/ReplicaHello.js';
import type { ReplicationStreams } from '../../shared/rpc/transport.js';
import { Usual } from '../../shared/usual.js';
import type { Effect, Shard } from '../shard.js';
import type { Outcome } from '../step-headers.js';
import { BackupLink, type Diverged, type LogRecord, type Replicated } from './backup-link.js';
import { Rounds } from './rounds.js';

/** What of a step does not leave any more when it is taken back. Acknowledgements may: they say no more than `here`. */
const stepOf = (effect: Effect): number =>
  effect.kind === 'outcome' ? effect.outcome.step : effect.kind === 'closed' ? effect.step : 0;

const TAKEN_BACK: readonly Effect['kind'][] = ['updated', 'outcome', 'closed'];

export interface CopiesOptions {
  readonly shard: Shard;
  hello(): ReplicaHello;
  open(address: string): ReplicationStreams;
  after(ms: number, work: () => void): void;
  now(): number;
  carryOut(effect: Effect): void;
  /** Payload has been sent to a backup. */
  onSent(what: Replicated, bytes: number): void;
  /** Nothing waits any more. */
  onDrained(): void;
  /** A server that joins has everything, and is waited for from now on. */
  onReplicated(server: number): void;
  /** A backup has not been reached for that long. */
  onBroken(server: number, brokenMs: number, reason: string): void;
  /** A block of a server's copy was another than here, and has been sent again. */
  onDiverged(server: number, diverged: Diverged): void;
}

export interface Copy {
  readonly server: number;
  readonly address: string;
  /** Whether the view has it as a backup; else it is to become one. */
  readonly isBackup: boolean;
}

interface Held {
  readonly link: BackupLink;
  /** Whether the last view has it as a backup. */
  isBackup: boolean;
  /** Whether nothing leaves without it. */
  votes: boolean;
  /** The newest record when it began to vote: it is a copy when it has that. */
  votesFrom: number;
  isReported: boolean;
}

/** What leaves when the backups have everything up to its record. */
interface Queued {
  readonly effect: Effect;
  readonly record: number;
  readonly since: number;
  readonly ofStep: number;
}

export class Copies {
  readonly #options: CopiesOptions;
  readonly #held = new Map<number, Held>();
  readonly #rounds: Rounds;
  /** When backups have all of a step, from when all of it is on its way to them. */
  readonly #answers = new Arrivals(TIMED_STEPS);
  /** The record that was the last of it, and backups that do not have it; undefined: nothing is on its way. */
  #closing: { readonly record: number; readonly late: Set<number> } | undefined;
  /** Records so far. */
  #records = 0;
  /** The verdict on the last step that had one. */
  #verdict: Outcome | undefined;
  /** The longest that anything of a step waited for the copies. */
  readonly usual = new Usual();
  #longestMs = 0;
  readonly #queue: Queued[] = [];

  /** @param verdict on the last step before, where another server was the primary */
  constructor(options: CopiesOptions, verdict?: Outcome) {
    this.#options = options;
    this.#rounds = new Rounds(options.shard);
    this.#verdict = verdict;
  }

  /** Whether the shard has, or gets, copies elsewhere. */
  get isReplicated(): boolean {
    return this.#held.size > 0;
  }

  /** Blocks whose new values may not leave yet. */
  get uncommitted(): ReadonlySet<number> {
    return new Set(this.#queue.flatMap(({ effect }) => (effect.kind === 'updated' ? [effect.block] : [])));
  }

  get isDrained(): boolean {
    return this.#queue.length === 0;
  }

  /** Servers whose answer is waited for, and for how long the oldest has been (ms). */
  waiting(): { servers: number[]; waitedMs: number } {
    const [oldest] = this.#queue;
    if (!oldest) return { servers: [], waitedMs: 0 };
    const late = [...this.#held.values()].filter(({ votes, link }) => votes && link.applied < oldest.record);
    return { servers: late.map(({ link }) => link.server), waitedMs: this.#options.now() - oldest.since };
  }

  /**
   * Seconds for which a step that is here waits for each backup: means over the last steps, or for how long by now where the
   * oldest answer that is missing is older.
   */
  answerSeconds(): Map<number, number> {
    const seconds = this.#answers.seconds(this.#options.now(), () => false);
    const { servers, waitedMs } = this.waiting();
    for (const server of servers) seconds.set(server, Math.max(seconds.get(server) ?? 0, waitedMs / 1000));
    for (const server of seconds.keys()) if (!this.#held.get(server)?.votes) seconds.delete(server);
    return seconds;
  }

  /** Who holds, or is to hold, the shard beside this server. */
  place(copies: readonly Copy[]): void {
    for (const [server, { link }] of this.#held) {
      if (copies.some((copy) => copy.server === server)) continue;
      link.close();
      this.#held.delete(server);
    }
    const { shard, hello, open, after, now, onBroken, onDiverged, onSent } = this.#options;
    const outcome = () => this.#verdict;
    for (const { server, address, isBackup } of copies) {
      const known = this.#held.get(server);
      if (known) {
        // Given up, and to be made a copy again: nobody waits for it until it is one.
        if (known.isBackup && !isBackup) known.votes = false;
        known.votes ||= isBackup;
        // A view that has it among those who join has not heard of it yet, or another keeper follows that never will: it
        // is told again.
        known.isReported = isBackup;
        known.isBackup = isBackup;
        continue;
      }
      const link: BackupLink = new BackupLink(
        {
          ...{ server, address, shard, hello, outcome, open, after, now, onSent },
          isThere: isBackup,
          onApplied: () => this.#flush(),
          onBroken: (reason) => onBroken(server, link?.brokenMs ?? 0, reason),
          onDiverged: (diverged) => onDiverged(server, diverged),
        },
        this.#records,
      );
      this.#held.set(server, { link, isBackup, votes: isBackup, votesFrom: 0, isReported: isBackup });
    }
    this.#listen();
    this.#flush();
  }

  /** A block has its initial values. */
  initial(block: number): void {
    this.#record({ kind: 'initial', block });
  }

  /** What follows from what the shard has just done: leaves when the backups have done it, too. */
  emit(effects: readonly Effect[]): void {
    const { shard, carryOut, now } = this.#options;
    for (const effect of effects)
      if (effect.kind === 'outcome') this.#verdict = effect.outcome;
      else if (effect.kind === 'withdrawn' && this.#verdict && this.#verdict.step >= effect.step)
        this.#verdict = undefined;
    if (!this.isReplicated) {
      for (const effect of effects) carryOut(effect);
      return;
    }
    for (const effect of effects) {
      if (effect.kind === 'updated') {
        this.#record({ kind: 'update', block: effect.block, update: shard.lastUpdate(effect.block) });
        shard.releaseSum(effect.block);
      } else if (effect.kind === 'outcome') this.#record({ kind: 'verdict', outcome: effect.outcome });
      else if (effect.kind === 'withdrawn') this.#withdraw(effect);
    }
    // Acknowledgements stand before the update that they are of: nothing of all this leaves before the last record.
    for (const effect of effects) {
      const ofStep = effect.kind === 'updated' ? shard.decidedOn(effect.block) - 1 : stepOf(effect);
      this.#queue.push({ effect, record: this.#records, since: now(), ofStep });
    }
    if (effects.some(({ kind }) => kind === 'outcome')) this.#compare();
    if (effects.some(({ kind }) => kind === 'closed')) {
      const voters = [...this.#held.values()].filter(({ votes }) => votes);
      this.#closing = { record: this.#records, late: new Set(voters.map(({ link }) => link.server)) };
      this.#answers.begin(now());
    }
    this.#flush();
  }

  /** Notes which backups have all of the step that is on its way to them. */
  #time(backups: readonly BackupLink[]): void {
    const closing = this.#closing;
    if (!closing) return;
    for (const { server, applied } of backups)
      if (applied >= closing.record && closing.late.delete(server))
        this.#answers.arrived(server, this.#options.now());
    if (closing.late.size > 0) return;
    this.#answers.end();
    this.#closing = undefined;
  }

  /** Whether the copies are what they should be: of the next few blocks. */
  #compare(): void {
    const whole = [...this.#held.values()].filter(({ link }) => link.isWhole);
    if (whole.length === 0) return;
    for (const sums of this.#rounds.take()) for (const { link } of whole) link.compare(sums);
  }

  /** A step is taken back: new parameters and the verdict, where they have not left, do not leave any more. */
  #withdraw(effect: LogRecord & { kind: 'withdrawn' }): void {
    const kept = this.#queue.filter(
      ({ effect: each, ofStep }) => !TAKEN_BACK.includes(each.kind) || ofStep < effect.step,
    );
    this.#queue.splice(0, this.#queue.length, ...kept);
    this.#record(effect);
  }

  close(): void {
    for (const { link } of this.#held.values()) link.close();
    this.#held.clear();
    this.#listen();
    this.#queue.length = 0;
  }

  /** Hears of contributions as they are summed, where somebody is to be sent them. */
  #listen(): void {
    this.#options.shard.onSum = this.isReplicated
      ? (part) => {
          for (const { link } of this.#held.values()) link.part(part);
        }
      : undefined;
  }

  #record(record: LogRecord): void {
    this.#records++;
    for (const { link } of this.#held.values()) link.record(this.#records, record);
  }

  #flush(): void {
    for (const held of this.#held.values()) {
      if (!held.votes && held.link.isWhole) {
        held.votes = true;
        held.votesFrom = this.#records;
      }
      if (held.votes && !held.isReported && held.link.isWhole && held.link.applied >= held.votesFrom) {
        held.isReported = true;
        this.#options.onReplicated(held.link.server);
      }
    }
    const voters = [...this.#held.values()].filter(({ votes }) => votes);
    const committed = Math.min(...voters.map(({ link }) => link.applied));
    this.#time(voters.map(({ link }) => link));
    const waited = this.#queue.length > 0;
    const now = waited ? this.#options.now() : 0;
    while (this.#queue.length > 0 && this.#queue[0].record <= committed) {
      const { effect, since } = this.#queue.shift() as Queued;
      this.#longestMs = Math.max(this.#longestMs, now - since);
      if (effect.kind === 'closed') {
        this.usual.observe(this.#longestMs);
        this.#longestMs = 0;
      }
      this.#options.carryOut(effect);
    }
    if (waited && this.isDrained) this.#options.onDrained();
  }
}
