// The tables of a model's SparseEmbedding layers as a run has them: what the layers leave open follows the run's options.
// What cannot be is refused here, before anything is started.
import { compileTables, type TableOptions } from '../../shared/client/sdk-tables.js';
import type { CodecName } from '../../shared/codec/codec.js';
import { UserError } from '../../shared/errors.js';
import type { OptimizerSpec } from '../../shared/optimizer/spec.js';
import { ROW_OPTIMIZERS, type RowOptimizerSpec, type RowTableSpec } from '../../shared/rows/tables.js';

/** The run's optimizer, where a table has none of its own. Throws UserError where rows do not have it. */
function optimizerOf(optimizer: OptimizerSpec): RowOptimizerSpec {
  if (ROW_OPTIMIZERS.some((kind) => kind === optimizer.kind)) return optimizer as RowOptimizerSpec;
  throw new UserError(
    `the model's tables: expected an optimizer of ${ROW_OPTIMIZERS.join(', ')} for a table that has none of its own, got the run's ${optimizer.kind}; give SparseEmbedding an optimizer, or take one of these`,
  );
}

/** Throws UserError for tables that the run cannot have. */
export function compileModelTables(
  tables: readonly TableOptions[],
  run: { optimizer: OptimizerSpec; codec: CodecName; consistency: string },
): RowTableSpec[] {
  const { optimizer, codec, consistency } = run;
  if (optimizer.clipNorm !== undefined)
    throw new UserError(
      `expected no clipping by global norm with embedding tables, whose rows the norm would leave out, got ${optimizer.clipNorm}; leave it out`,
    );
  const open = tables.some((table) => table.optimizer === undefined && table.learningRate === undefined);
  return compileTables(tables, {
    consistency,
    codec,
    ...(open && { optimizer: optimizerOf(optimizer) }),
  });
}
