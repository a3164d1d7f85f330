// What `import … from 'gradloom'` gives.
export type { CodecName } from '../codec/codec.js';
export { RunError, UserError } from '../errors.js';
export type { ParameterGroup } from '../optimizer/groups.js';
export type { ScheduleSpec } from '../optimizer/schedule.js';
export { type OptimizerSpec, optimizerSpec } from '../optimizer/spec.js';
export { openTables, type SavedTableSpec, type SavedTables } from '../rows/saved-tables.js';
export type { RowInitializerSpec, RowOptimizerKind, RowOptimizerSpec, RowTableSpec } from '../rows/tables.js';
export { Refused } from '../rpc/refusal.js';
export { connect } from './sdk.js';
export type { Rows, TableOptions } from './sdk-tables.js';
export type {
  Client,
  ConnectOptions,
  Outcome,
  Pulled,
  PulledRows,
  PushOptions,
  Tensors,
  Waiting,
} from './sdk-types.js';
