// The table of all options of all binaries: the only place where an option is described, in rooms by subject (options/).
// A binary picks its own from it (commands.ts); flag, environment variable, key in the config file, help, checks and
// the type of the compiled value all follow from the entry there. Sizes and times are compiled to bytes and
// milliseconds, and get the unit in their name.
import { EXCHANGE_OPTIONS } from './options/exchange.js';
import { FILE_OPTIONS } from './options/files.js';
import { JOB_OPTIONS } from './options/job.js';
import { MESH_OPTIONS } from './options/mesh.js';
import { OPTIMIZER_OPTIONS } from './options/optimizer.js';

export const OPTIONS = {
  ...MESH_OPTIONS,
  ...JOB_OPTIONS,
  ...OPTIMIZER_OPTIONS,
  ...EXCHANGE_OPTIONS,
  ...FILE_OPTIONS,
};
