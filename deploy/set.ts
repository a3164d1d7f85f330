// `gradloom set consistency NAME`: changes a running run at a step boundary.
import { changeRules } from '../shared/client/membership.js';
import { placeOf } from '../shared/config/check-place.js';
import type { SetOptions } from '../shared/config/commands.js';
import { printEvent } from '../shared/process.js';
import { consistencyOf } from '../shared/run/spec.js';

/** Asks the keeper, and prints from which step it holds. Throws Refused, or RunError where it cannot be reached. */
export async function setRules(options: SetOptions): Promise<void> {
  const { consistency, staleness, peerDeadlineMs } = options;
  const request = { run: options.run ?? '', rules: { consistency, staleness } };
  const { run, view } = await changeRules(placeOf(options) as string, request, peerDeadlineMs);
  const { number, fromStep } = view;
  const inForce = consistencyOf(view.consistency);
  const bound = inForce === 'ssp' ? { staleness: view.staleness } : {};
  if (options.json)
    return printEvent({ event: 'view', run, number, fromStep, consistency: inForce, ...bound });
  process.stdout.write(
    `run ${run}: view ${number} from step ${fromStep} on ${inForce}${inForce === 'ssp' ? `, staleness ${view.staleness}` : ''}\n`,
  );
}
