// The peer of a bench: a command that measures another system, run in turn with ours, and its figure found in
// what it prints. A figure stands in a line as "median NUMBER UNIT".
import { spawn } from 'node:child_process';
import { RunError } from '../../shared/errors.js';

/** Which figure of a peer's output is comparable with ours. */
export interface PeerRule {
  /** Our metric that it stands beside. */
  metric: string;
  unit: string;
  /** How the peer may write the unit. */
  units: readonly string[];
  best: 'lowest' | 'highest';
  /** Lines that start with one of these words are of another kind unless `same` fits them. */
  kinds?: { words: readonly string[]; same: RegExp };
  /** The rule as a sentence, for --help. */
  sentence: string;
}

const FIGURE = /\bmedian\s+([\d.]+(?:e[+-]?\d+)?)\s+(\S+)/;

/** The peer's best comparable median in its output; undefined where there is none. */
export function peerFigure(rule: PeerRule, output: string): number | undefined {
  const found = output.split('\n').flatMap((line) => {
    const match = FIGURE.exec(line);
    if (!match || !rule.units.includes(match[2])) return [];
    const word = line.trim().split(/\s/, 1)[0];
    if (rule.kinds?.words.includes(word) && !rule.kinds.same.test(line.trim())) return [];
    return [Number(match[1])];
  });
  if (found.length === 0) return undefined;
  return rule.best === 'lowest' ? Math.min(...found) : Math.max(...found);
}

/** Runs the command once and returns its figure. Throws RunError where it fails or prints none. */
export async function measurePeer(rule: PeerRule, command: string): Promise<number> {
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text: Buffer) => {
    output += text.toString();
  });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => {
    complaint = (complaint + text.toString()).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (code !== 0)
    throw new RunError(
      `--peer: the command ended with status ${code}: ${complaint.trim().split('\n').at(-1) || 'it said nothing'}`,
    );
  const figure = peerFigure(rule, output);
  if (figure === undefined)
    throw new RunError(
      `--peer: expected a line with "median NUMBER ${rule.unit}" from the command, got none: ${rule.sentence}`,
    );
  return figure;
}
