#!/usr/bin/env node
// The binary gradloom-worker: options in, one worker of a run, results out. With --serve the node has both roles.
import { WORKER } from '../shared/config/commands.js';
import { parseOptions } from '../shared/config/parse.js';
import { EXIT } from '../shared/errors.js';
import { collectSeldom, createLog, fail, onParentGone, onStopSignal, printEvent } from '../shared/process.js';
import { Display } from '../worker/display/display.js';

class Interrupted extends Error {}

async function main(): Promise<void> {
  collectSeldom();
  const parsed = await parseOptions(WORKER, process.argv.slice(2), process.env);
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    return;
  }
  const { options, plain, warnings } = parsed;
  const log = createLog(options.logLevel);
  for (const warning of warnings) log.warn(warning);
  const stop = new AbortController();
  onStopSignal((signal) => stop.abort(new Interrupted(signal)));
  onParentGone(() => stop.abort(new Interrupted('the launcher is gone')));
  const display = options.json ? undefined : new Display(process.stdout);
  try {
    // What computes takes a while to load: not before it is known that there is something to do.
    const { runJob } = await import('../worker/training/run-job.js');
    stop.signal.throwIfAborted();
    await runJob({
      options,
      plain,
      signal: stop.signal,
      peerThread: new URL('./peer-thread.js', import.meta.url),
      onNotice: (sentence) => log.info(sentence),
      onEvent: (event) => (display ? display.show(event) : printEvent(event)),
    });
  } catch (error) {
    display?.close();
    if (error instanceof Interrupted) process.exit(EXIT.interrupted);
    throw error;
  }
  display?.close();
  process.exit(EXIT.done);
}

main().catch((error) => fail(error, 'gradloom-worker'));
