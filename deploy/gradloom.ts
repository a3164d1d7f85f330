#!/usr/bin/env node
// The binary gradloom: `up` trains on this machine, `status` tells of a mesh, `why-slow` who holds it up, `set` changes a
// running run, `drain` empties a server. The one place that knows servers and workers both.
import { GRADLOOM } from '../shared/config/commands.js';
import { parseProgram } from '../shared/config/program.js';
import { fail } from '../shared/process.js';
import { drain } from './drain.js';
import { setRules } from './set.js';
import { showStatus } from './status.js';
import { up } from './up.js';
import { showWhySlow } from './why-slow.js';

async function main(): Promise<void> {
  const parsed = await parseProgram(GRADLOOM, process.argv.slice(2), process.env);
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    return;
  }
  for (const warning of parsed.warnings) process.stderr.write(`gradloom: ${warning}\n`);
  if (parsed.command === 'set') return setRules(parsed.options);
  if (parsed.command === 'drain') return drain(parsed.options);
  if (parsed.command === 'status') return showStatus(parsed.options);
  if (parsed.command === 'why-slow') return showWhySlow(parsed.options);
  process.exit(await up(parsed.options, parsed.plain));
}

main().catch((error) => fail(error, 'gradloom'));
