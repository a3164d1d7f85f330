#!/usr/bin/env node
// The binary gradloom: `up` trains on this machine, `status` tells of a mesh, `why-slow` who holds it up, `set` changes a
// running run, `drain` empties a server. The one place that knows servers and workers both.
import { GRADLOOM } from '../shared/config/commands.js';
import { parseProgram } from '../shared/config/program.js';
import { fail } from '../shared/process.js';

async function main(): Promise<void> {
  const parsed = await parseProgram(GRADLOOM, process.argv.slice(2), process.env);
  if (parsed.kind === 'print') {
    process.stdout.write(parsed.text);
    return;
  }
  for (const warning of parsed.warnings) process.stderr.write(`gradloom: ${warning}\n`);
  // Each command loads only what it needs.
  switch (parsed.command) {
    case 'set':
      return (await import('./set.js')).setRules(parsed.options);
    case 'drain':
      return (await import('./drain.js')).drain(parsed.options);
    case 'status':
      return (await import('./status.js')).showStatus(parsed.options);
    case 'why-slow':
      return (await import('./why-slow.js')).showWhySlow(parsed.options);
    case 'up': {
      const { up } = await import('./up.js');
      process.exit(await up(parsed.options, parsed.plain));
    }
  }
}

main().catch((error) => fail(error, 'gradloom'));
