// The coordinator in the memory of the first server: for one machine, and for trying things out. Its death is the end of
// the mesh.
import { oneKeeper } from '../../shared/client/keepers.js';
import type { Coordination } from './coordination.js';

/** @param join HOST:PORT of the keeper; undefined: this server is it */
export function embedded(join: string | undefined): Coordination {
  return {
    async start(address, role) {
      if (join === undefined) role.begin(new Map());
      return oneKeeper(join ?? address);
    },
    close: async () => undefined,
  };
}
