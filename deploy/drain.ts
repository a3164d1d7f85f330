// `gradloom drain`: empties a server while runs go on, so that its host can be taken away.
import { drainServer } from '../shared/client/membership.js';
import { placeOf } from '../shared/config/check-place.js';
import type { DrainOptions } from '../shared/config/commands.js';
import { DRAIN_DEADLINE_MS } from '../shared/limits.js';
import { printEvent } from '../shared/process.js';

/** Asks the keeper, and waits until the server holds nothing. Throws Refused, or RunError where the keeper is not reached. */
export async function drain(options: DrainOptions): Promise<void> {
  const { server, json } = options;
  await drainServer(placeOf(options) as string, server, DRAIN_DEADLINE_MS);
  if (json) return printEvent({ event: 'drained', server });
  process.stdout.write(`server ${server} holds nothing any more, and has ended\n`);
}
