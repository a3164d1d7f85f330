// What `import … from 'gradloom'` gives.
export type { CodecName } from '../codec/codec.js';
export { RunError, UserError } from '../errors.js';
export { Refused } from '../rpc/refusal.js';
export {
  type Client,
  type ConnectOptions,
  connect,
  type Outcome,
  type Pulled,
  type PushOptions,
  type Tensors,
} from './sdk.js';
