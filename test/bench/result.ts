// What every bench gives back, and how it is run. Each module of a bench exports `run(options)`; bench.ts prints
// what it returns, and a test runs it small.

export interface Result {
  bench: string;
  case: string;
  metric: string;
  unit: string;
  median: number;
  min: number;
  max: number;
  runs: number;
}

export interface BenchOptions {
  repeats: number;
  /** Only show that it works: little data, few rounds. */
  small: boolean;
  /** Called before each repeat: what else is measured takes its turn there. */
  between?: () => Promise<void>;
}

/** The middle of some values; of an even number the mean of the two in the middle. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One figure from the values of its repeats. */
export function summarize(
  bench: string,
  name: string,
  metric: string,
  unit: string,
  values: readonly number[],
): Result {
  return {
    bench,
    case: name,
    metric,
    unit,
    median: medianOf(values),
    min: Math.min(...values),
    max: Math.max(...values),
    runs: values.length,
  };
}

/** Values of several metrics by name, repeat after repeat. */
export class Series {
  readonly #values = new Map<string, { name: string; metric: string; unit: string; values: number[] }>();

  constructor(readonly bench: string) {}

  add(name: string, metric: string, unit: string, value: number): void {
    const key = `${name} ${metric}`;
    const series = this.#values.get(key) ?? { name, metric, unit, values: [] };
    series.values.push(value);
    this.#values.set(key, series);
  }

  /** In the order in which cases and metrics were first added. */
  results(): Result[] {
    const all = [...this.#values.values()];
    const names = [...new Set(all.map(({ name }) => name))];
    return names.flatMap((name) =>
      all
        .filter((series) => series.name === name)
        .map(({ metric, unit, values }) => summarize(this.bench, name, metric, unit, values)),
    );
  }
}
