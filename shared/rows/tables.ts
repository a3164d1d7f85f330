// Embedding tables of a run as all its nodes agree on them: what a table is, what is wrong with one, its wire form.
// Nobody holds a table in full; its rows are dealt over the servers (partitions.ts).
import { CODEC_IDS } from '../codec/codec.js';
import {
  NAME_CHARACTERS_MAX,
  ROW_WIDTH_MAX,
  ROWS_MESSAGE_MAX_BYTES,
  TABLE_ROWS_MAX,
  TABLES_MAX,
} from '../limits.js';
import { type OptimizerSpec, optimizerFault } from '../optimizer/spec.js';
import { describeOptimizer, optimizerFromWire, optimizerToWire } from '../optimizer/wire.js';
import type { RowTable, RowTable__Output } from '../rpc/generated/gradloom/v1/RowTable.js';
import { refuse } from '../rpc/refusal.js';
import { ROW_CODECS, type RowCodecName } from './row-codec.js';

/** In the order of their numbers on the wire, from 1. */
export const ROW_INITIALIZERS = ['zeros', 'uniform', 'normal'] as const;

export interface RowInitializerSpec {
  readonly kind: (typeof ROW_INITIALIZERS)[number];
  /** uniform: values are in [-scale, scale); normal: their standard deviation; zeros: 0. */
  readonly scale: number;
}

/** What may be run on rows. */
export const ROW_OPTIMIZERS = ['sgd', 'adagrad', 'adam'] as const;
export type RowOptimizerKind = (typeof ROW_OPTIMIZERS)[number];
export type RowOptimizerSpec = OptimizerSpec & { kind: RowOptimizerKind };

export interface RowTableSpec {
  readonly name: string;
  /** Ids are 0 to rows - 1. */
  readonly rows: number;
  /** Elements of a row. */
  readonly width: number;
  readonly initializer: RowInitializerSpec;
  /** Run on the rows of a step alone; Adam's t is the row's own count of updates (LazyAdam). */
  readonly optimizer: RowOptimizerSpec;
  /** How rows travel, both ways. */
  readonly codec: RowCodecName;
}

/** Rows with their ids that fit into one message, whichever way they go, in whatever codec. */
export function rowsOfMessage(width: number): number {
  return Math.floor(ROWS_MESSAGE_MAX_BYTES / (4 + 4 * width));
}

const within = (value: number, max: number) => Number.isSafeInteger(value) && value >= 1 && value <= max;

/** What is wrong with what a table is, however it is trained: "expected …, got …"; undefined if nothing is. */
export function rowsFault({
  name,
  rows,
  width,
  initializer,
}: Pick<RowTableSpec, 'name' | 'rows' | 'width' | 'initializer'>): string | undefined {
  if (typeof name !== 'string' || name.length === 0 || name.length > NAME_CHARACTERS_MAX)
    return `expected a table's name of 1 to ${NAME_CHARACTERS_MAX} characters, got ${name?.length ?? 'none'}`;
  const where = `table '${name}'`;
  if (!within(rows, TABLE_ROWS_MAX)) return `${where}: expected 1 to ${TABLE_ROWS_MAX} rows, got ${rows}`;
  if (!within(width, ROW_WIDTH_MAX))
    return `${where}: expected a width of 1 to ${ROW_WIDTH_MAX}, got ${width}`;
  if (!ROW_INITIALIZERS.includes(initializer.kind))
    return `${where}: expected an initializer of ${ROW_INITIALIZERS.join(', ')}, got '${initializer.kind}'`;
  const scale = Math.fround(initializer.scale);
  if (initializer.kind === 'zeros' ? scale !== 0 : !(scale > 0 && scale <= 2 ** 64))
    return `${where}: expected a scale ${initializer.kind === 'zeros' ? 'of 0' : 'above 0 and of 2^64 at most'} for ${initializer.kind}, got ${initializer.scale}`;
  return undefined;
}

function tableFault(table: RowTableSpec): string | undefined {
  const fault = rowsFault(table);
  if (fault) return fault;
  const { name, optimizer, codec } = table;
  const where = `table '${name}'`;
  if (!ROW_OPTIMIZERS.includes(optimizer.kind))
    return `${where}: expected an optimizer of ${ROW_OPTIMIZERS.join(', ')}, got '${optimizer.kind}'`;
  const { l1, l2, clipValue, clipNorm, groups } = optimizer;
  if (l1 || l2 || clipValue || clipNorm || groups)
    return `${where}: expected an optimizer without l1, l2, clipValue, clipNorm and groups, got one with; rows have none of them: give the table an optimizer of its own`;
  if (!ROW_CODECS.includes(codec))
    return `${where}: expected a codec of ${ROW_CODECS.join(', ')}, got '${codec}'; what a lossy one leaves out of a row would need a copy of the table at each worker`;
  const unfit = optimizerFault(optimizer);
  return unfit && `${where}: ${unfit}`;
}

/** What is wrong with the tables of a run: "expected …, got …"; undefined if nothing is. */
export function tablesFault(tables: readonly RowTableSpec[], consistency: string): string | undefined {
  if (tables.length === 0) return undefined;
  if (tables.length > TABLES_MAX) return `expected at most ${TABLES_MAX} tables, got ${tables.length}`;
  if (consistency !== 'bsp')
    return `expected consistency bsp with tables, got ${consistency}: the rows of a step are applied when all workers have ended it; take bsp`;
  const names = new Set<string>();
  for (const table of tables) {
    const fault = tableFault(table);
    if (fault) return fault;
    if (names.has(table.name)) return `expected names of tables to differ, got '${table.name}' twice`;
    names.add(table.name);
  }
  return undefined;
}

export function tableToWire({ initializer, optimizer, codec, ...table }: RowTableSpec): RowTable {
  return {
    ...table,
    initializer: (ROW_INITIALIZERS.indexOf(initializer.kind) + 1) as 1 | 2 | 3,
    initializerScale: initializer.scale,
    optimizer: optimizerToWire(optimizer),
    codec: CODEC_IDS[codec],
  };
}

/** Reads and checks tables from the network. Throws Refused: MALFORMED or RUN_SPEC. */
export function tablesFromWire(wire: readonly RowTable__Output[], consistency: string): RowTableSpec[] {
  const tables = wire.map((table): RowTableSpec => {
    const { name, rows, width, initializer, initializerScale, optimizer, codec } = table;
    if (!optimizer)
      throw refuse('MALFORMED', `table '${name.slice(0, 80)}': expected an optimizer, got none`);
    return {
      name,
      rows,
      width,
      initializer: { kind: ROW_INITIALIZERS[initializer - 1], scale: initializerScale },
      optimizer: optimizerFromWire(optimizer, []) as RowOptimizerSpec,
      codec:
        (Object.keys(CODEC_IDS) as RowCodecName[]).find((known) => CODEC_IDS[known] === codec) ??
        (`number ${codec}` as RowCodecName),
    };
  });
  const fault = tablesFault(tables, consistency);
  if (fault) throw refuse('RUN_SPEC', fault);
  return tables;
}

/** The tables as texts by name, for comparison. */
export function describeTables(tables: readonly RowTableSpec[]): Record<string, string> {
  return Object.fromEntries(
    tables.map(({ name, rows, width, initializer, optimizer, codec }, index) => [
      `table ${index + 1}`,
      JSON.stringify([
        name,
        rows,
        width,
        initializer.kind,
        initializer.scale,
        describeOptimizer(optimizer),
        codec,
      ]),
    ]),
  );
}
