// Typed instruments over prom-client: a label takes only the values that the table of definitions allows.
// Where a label is free text, the first values get series of their own and the rest are added up as `other`,
// so that what peers send can never grow the number of series.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BoundedLabel, Definition } from './definitions.js';

/** The labels that a definition takes, as the type of an object. */
export type LabelsOf<D extends Definition> = {
  readonly [K in keyof D['labels']]: D['labels'][K] extends readonly (infer V)[] ? V : string;
};

type Arguments<D extends Definition> = keyof D['labels'] extends never ? [] : [labels: LabelsOf<D>];

export interface CounterInstrument<D extends Definition> {
  /** Adds a finite amount of 0 or more. */
  add(amount: number, ...labels: Arguments<D>): void;
}

export interface GaugeInstrument<D extends Definition> {
  set(value: number, ...labels: Arguments<D>): void;
  /** Takes the series away, e.g. those of a run that has ended; labels that are left out match any value. */
  forget(labels: Partial<LabelsOf<D>>): void;
}

export interface HistogramInstrument<D extends Definition> {
  /** Counts one observation, in the unit of the metric's name. */
  observe(value: number, ...labels: Arguments<D>): void;
}

export type Instrument<D extends Definition> = D['type'] extends 'counter'
  ? CounterInstrument<D>
  : D['type'] extends 'gauge'
    ? GaugeInstrument<D>
    : HistogramInstrument<D>;

/** Label sets of one counter whose amounts wait for the next scrape. */
const PENDING_MAX = 256;
/** What values beyond a label's bound are added up as. */
export const OTHER = 'other';

type Values = Record<string, string>;

/** Registers one metric and gives its instrument; counters and histograms with listed labels start at zero. */
export function createInstrument<D extends Definition>(definition: D, registry: Registry): Instrument<D> {
  const { name, help, type } = definition;
  const labelNames = Object.keys(definition.labels);
  const configuration = { name, help, labelNames, registers: [registry] };
  const limiters = new Map(
    Object.entries(definition.labels).map(([label, allowed]) => [label, limiter(allowed)] as const),
  );
  const limit = (labels: Values = {}): Values => {
    const limited: Values = {};
    for (const label of labelNames) limited[label] = limiters.get(label)?.(labels[label]) ?? OTHER;
    return limited;
  };
  const listed = combinations(definition.labels);
  if (type === 'counter') {
    // Amounts are added up here and handed to prom-client when it is asked: some are counted for every block.
    const pending = new Map<string, { labels: Values; amount: number }>();
    const flush = (): void => {
      for (const { labels, amount } of pending.values()) counter.inc(labels, amount);
      pending.clear();
    };
    const counter = new Counter({ ...configuration, collect: flush });
    for (const labels of listed) counter.inc(labels, 0);
    return {
      add(amount: number, labels?: Values) {
        if (!(amount >= 0 && Number.isFinite(amount)))
          throw new RangeError(`${name}: expected an amount of 0 or more, got ${amount}`);
        const key = labels ? labelNames.map((label) => labels[label]).join('\n') : '';
        const same = pending.get(key);
        if (same) same.amount += amount;
        else {
          pending.set(key, { labels: limit(labels), amount });
          if (pending.size > PENDING_MAX) flush();
        }
      },
    } as unknown as Instrument<D>;
  }
  if (type === 'histogram') {
    const histogram = new Histogram({ ...configuration, buckets: [...(definition.buckets ?? [])] });
    for (const labels of listed) histogram.zero(labels);
    return {
      observe: (value: number, labels?: Values) => histogram.observe(limit(labels), value),
    } as unknown as Instrument<D>;
  }
  const gauge = new Gauge(configuration);
  const shown = new Map<string, Values>();
  return {
    set(value: number, labels?: Values) {
      const limited = limit(labels);
      shown.set(JSON.stringify(limited), limited);
      gauge.set(limited, value);
    },
    forget(labels: Values) {
      for (const [key, series] of shown) {
        if (!Object.entries(labels).every(([label, value]) => series[label] === value)) continue;
        gauge.remove(series);
        shown.delete(key);
      }
      for (const [label, value] of Object.entries(labels)) limiters.get(label)?.(value, true);
    },
  } as unknown as Instrument<D>;
}

/** A function that maps a value to the one that is shown, or (with `release`) gives its place to another value. */
function limiter(allowed: readonly string[] | BoundedLabel): (value: string, release?: boolean) => string {
  if (Array.isArray(allowed)) return (value) => (allowed.includes(value) ? value : OTHER);
  const most = (allowed as BoundedLabel).values;
  const seen = new Set<string>();
  return (value, release = false) => {
    if (release) seen.delete(value);
    else if (!seen.has(value)) {
      if (seen.size >= most) return OTHER;
      seen.add(value);
    }
    return value;
  };
}

/** All label sets, where every label lists its values; otherwise none, except for a metric without labels. */
function combinations(labels: Definition['labels']): Values[] {
  let sets: Values[] = [{}];
  for (const [label, allowed] of Object.entries(labels)) {
    if (!Array.isArray(allowed)) return [];
    sets = sets.flatMap((set) => allowed.map((value: string) => ({ ...set, [label]: value })));
  }
  return sets;
}
