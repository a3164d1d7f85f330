// "Did you mean …?" for words that are nearly right: flags, keys of the config file, environment variables, commands.

/** Edit distance with transpositions (optimal string alignment), cut off above `most`. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforeLast[j - 2] + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length];
}

const bare = (word: string): string => word.toLowerCase().replace(/[-_]/g, '');

/** The candidate that `word` most probably stands for, or undefined where none is close. */
export function suggest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = bare(word).slice(0, 64);
  const most = wanted.length <= 3 ? 1 : 2;
  let best: string | undefined;
  let bestDistance = most + 1;
  for (const candidate of candidates) {
    const found = distance(wanted, bare(candidate), most);
    if (found < bestDistance) {
      best = candidate;
      bestDistance = found;
    }
  }
  return best;
}
