// Who holds a claim: a process, known so well that a later process with the same number isn't taken for it.
// A claim of a process that was killed is free at once; nobody waits for a timeout in the ordinary case.
import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { CACHE_CLAIM_LEASE_MS } from '../../../shared/limits.js';

export interface Holder {
  /** Of this opening of the cache; a process may open it several times. */
  id: string;
  pid: number;
  /** When the process started, in the kernel's words; empty where the system doesn't say. */
  started: string;
  /** Boot and pid namespace: process numbers mean something only within the same one. */
  place: string;
  /** When the claim was made, milliseconds since the epoch. */
  claimedAtMs: number;
}

function firstThatReads(...reads: (() => string)[]): string {
  for (const read of reads) {
    try {
      return read();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  }
  return '';
}

/** State and start time of a process from Linux' /proc; nothing when it isn't there. */
function processStat(pid: number): { state: string; started: string } | undefined {
  const text = firstThatReads(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field is the command in parentheses, and may contain anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.length > 19 ? { state: fields[0], started: fields[19] } : undefined;
}

const place = (): string =>
  firstThatReads(
    () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() + readlinkSync('/proc/self/ns/pid'),
    hostname,
  );

/** This process, as a holder of claims. */
export function thisHolder(): Holder {
  const started = processStat(process.pid)?.started ?? '';
  return { id: randomUUID(), pid: process.pid, started, place: place(), claimedAtMs: Date.now() };
}

function isRunning(holder: Holder): boolean {
  if (holder.started !== '') {
    const found = processStat(holder.pid);
    return found !== undefined && found.started === holder.started && !'ZX'.includes(found.state);
  }
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether a claim still stands: its process runs, as far as can be known, and it isn't too old. */
export function isHolding(holder: Holder, observer: Holder, nowMs: number): boolean {
  if (nowMs - holder.claimedAtMs >= CACHE_CLAIM_LEASE_MS) return false;
  return holder.place !== observer.place || isRunning(holder);
}
