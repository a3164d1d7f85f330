// What `import … from 'gradloom'` gives.
export type { CodecName } from '../codec/codec.js';
export { RunError, UserError } from '../errors.js';
export type { ParameterGroup } from '../optimizer/groups.js';
export type { ScheduleSpec } from '../optimizer/schedule.js';
export { type OptimizerSpec, optimizerSpec } from '../optimizer/spec.js';
export { openTables, type SavedTableSpec, type SavedTables } from '../rows/saved-tables.js';
export type { RowInitializerSpec, RowOptimizerKind, RowOptimizerSpec, RowTableSpec } from '../rows/tables.js';
export { Refused } from '../rpc/refusal.js';
export {
  type Client,
  type ConnectOptions,
  connect,
  type Outcome,
  type Pulled,
  type PulledRows,
  type PushOptions,
  type Rows,
  type Tensors,
} from './sdk.js';
export type { TableOptions } from './sdk-tables.js';
