// How a run stands, as its last view says: who takes part, under which rules, and whose records the others have taken over.
import type { RunSpec } from '../../shared/run/spec.js';
import type { Departed } from '../data/dealer.js';
import type { ViewFigures } from '../exchange/messages.js';
import type { TrainEvent } from './events.js';

export class Standing {
  /** Number of the view in force. */
  view = 1;
  /** Ranks of those who go on, rising. */
  members: number[];
  consistency: RunSpec['consistency'];
  readonly departed: Departed[] = [];

  constructor({ workers, consistency }: Pick<RunSpec, 'workers' | 'consistency'>) {
    this.members = Array.from({ length: workers }, (_, rank) => rank);
    this.consistency = consistency;
  }

  /** Another view holds: what to say of it. */
  follow({ number, fromStep, consistency, staleness, members, departed: gone }: ViewFigures): TrainEvent {
    this.consistency = consistency;
    this.view = number;
    this.members = members;
    // Decided once more, where a server died meanwhile: the last word counts.
    const before = this.departed.findIndex((each) => each.rank === gone?.rank);
    if (before >= 0) this.departed.splice(before, 1);
    if (gone) this.departed.push(gone);
    const left = gone && { departed: gone.rank, reason: gone.reason };
    return { event: 'view', number, fromStep, consistency, staleness, members, ...left };
  }
}
