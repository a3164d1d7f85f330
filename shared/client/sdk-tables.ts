// The SDK's face of tables: what `connect` takes of them, and the rows that `push` takes, each id once.
import type { CodecName } from '../codec/codec.js';
import { UserError } from '../errors.js';
import { optimizerSpec } from '../optimizer/spec.js';
import { ROW_CODECS, type RowCodecName, rowMagnitudeLimit } from '../rows/row-codec.js';
import {
  ROW_OPTIMIZERS,
  type RowInitializerSpec,
  type RowOptimizerKind,
  type RowOptimizerSpec,
  type RowTableSpec,
  tablesFault,
} from '../rows/tables.js';
import { sumByPosition, uniqueIds } from '../rows/unique.js';
import type { RowGradients } from './rows.js';

/** A table of fp32 rows that lives on the servers alone. */
export interface TableOptions {
  name: string;
  /** Ids are 0 to rows - 1. */
  rows: number;
  /** Elements of a row. */
  width: number;
  /** Values of a row that no step has touched. Default: uniform with scale 0.05, as TensorFlow.js's embedding. */
  initializer?: RowInitializerSpec;
  /** A name, with that optimizer's defaults, or all of it. Default: see TableDefaults. */
  optimizer?: RowOptimizerKind | RowOptimizerSpec;
  /** Beside the name of an optimizer; default 0.01. */
  learningRate?: number;
  /** How rows travel: fp32, fp16 or bf16. Default: the run's codec if it is one of them, else fp32. */
  codec?: RowCodecName;
}

/** What holds for tables that do not say it themselves. */
export interface TableDefaults {
  consistency: string;
  /** The run's. */
  codec: CodecName;
  /** Without one: AdaGrad. */
  optimizer?: RowOptimizerSpec;
}

/** Gradients of rows by id; an id may come more than once, and its gradients are added. */
export interface Rows {
  ids: ArrayLike<number>;
  /** `ids.length` rows, one after the other. */
  gradients: Float32Array;
}

/** Throws UserError. */
export function compileTables(tables: readonly TableOptions[], defaults: TableDefaults): RowTableSpec[] {
  const specs = tables.map(({ learningRate, initializer, name, rows, width, ...table }) => {
    const optimizer =
      table.optimizer ?? (learningRate === undefined ? (defaults.optimizer ?? 'adagrad') : 'adagrad');
    const fallback = ROW_CODECS.find((codec) => codec === defaults.codec) ?? 'fp32';
    if (typeof optimizer === 'object' && learningRate !== undefined)
      throw new UserError(
        `tables: expected no learningRate of '${name}' beside an optimizer that has its own, got ${learningRate}`,
      );
    if (typeof optimizer === 'string' && !ROW_OPTIMIZERS.includes(optimizer))
      throw new UserError(
        `tables: expected an optimizer of ${ROW_OPTIMIZERS.join(', ')} for '${name}', got '${optimizer}'`,
      );
    return {
      name,
      rows,
      width,
      initializer: initializer ?? { kind: 'uniform' as const, scale: 0.05 },
      optimizer:
        typeof optimizer === 'object'
          ? optimizer
          : (optimizerSpec(optimizer, learningRate ?? 0.01) as RowOptimizerSpec),
      codec: table.codec ?? fallback,
    };
  });
  const fault = tablesFault(specs, defaults.consistency);
  if (fault) throw new UserError(`tables: ${fault}`);
  return specs;
}

/** The index of a table. Throws UserError. */
export function tableIndex(tables: readonly RowTableSpec[], name: string, verb: string): number {
  const index = tables.findIndex((table) => table.name === name);
  if (index >= 0) return index;
  const names = tables.map((table) => `'${table.name}'`).slice(0, 8);
  throw new UserError(
    `${verb}: expected names of tables of ${names.join(', ') || '(this run has none)'}, got '${name}'`,
  );
}

/** The rows of a push, tables in the spec's order, each id once and ascending. Throws UserError. */
export function compileRows(
  tables: readonly RowTableSpec[],
  rows: Readonly<Record<string, Rows>>,
): RowGradients[] {
  for (const name of Object.keys(rows)) tableIndex(tables, name, 'push');
  return tables.flatMap(({ name, rows: count, width }, table) => {
    if (!Object.hasOwn(rows, name) || rows[name].ids.length === 0) return [];
    const { ids: batch, gradients } = rows[name];
    if (!(gradients instanceof Float32Array) || gradients.length !== batch.length * width)
      throw new UserError(
        `push: expected a Float32Array of ${batch.length * width} values for ${batch.length} rows of '${name}', got ${gradients?.length ?? typeof gradients}`,
      );
    const unique = uniqueIds(batch, count, name);
    return [{ table, ids: unique.ids, gradients: sumByPosition(unique, gradients, width) }];
  });
}

/** Whether every gradient is a number that its table's codec can hold. */
export function rowsFinite(tables: readonly RowTableSpec[], rows: readonly RowGradients[]): boolean {
  return rows.every(({ table, gradients }) => {
    const limit = rowMagnitudeLimit(tables[table].codec);
    for (let i = 0; i < gradients.length; i++) if (!(Math.abs(gradients[i]) < limit)) return false;
    return true;
  });
}
