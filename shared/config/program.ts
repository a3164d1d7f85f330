// A binary with several commands (`gradloom up`, `gradloom status`): finds the command and hands the rest to it.
import { UserError } from '../errors.js';
import { show } from './option.js';
import { type CommandDefinition, type Environment, type Print, parseOptions, type Run } from './parse.js';
import { suggest } from './suggest.js';
import { version } from './version.js';

// biome-ignore lint/suspicious/noExplicitAny: a command's own options are inferred from the object that is passed
type Commands = Readonly<Record<string, CommandDefinition<any>>>;

export interface ProgramDefinition<C extends Commands> {
  readonly name: string;
  readonly summary: string;
  readonly commands: C;
}

/** What `parseOptions` gives for the command that was asked for, and that command's name. */
export type CommandRun<C extends Commands> = {
  [K in keyof C]: C[K] extends CommandDefinition<infer P> ? Run<P> & { readonly command: K } : never;
}[keyof C];

/**
 * Parses `COMMAND OPTIONS…`.
 * @param argv the arguments after the binary's name
 * @throws UserError
 */
export async function parseProgram<const C extends Commands>(
  program: ProgramDefinition<C>,
  argv: readonly string[],
  environment: Environment,
): Promise<CommandRun<C> | Print> {
  const [word, ...rest] = argv;
  const names = Object.keys(program.commands);
  if (word === '--version') return { kind: 'print', text: `${version()}\n` };
  if (word === '--help' || (word === 'help' && rest.length === 0))
    return { kind: 'print', text: help(program) };
  if (word === undefined || !names.includes(word)) throw unknown(program.name, word, names);
  const result = await parseOptions(program.commands[word], rest, environment);
  return (result.kind === 'print' ? result : { ...result, command: word }) as CommandRun<C> | Print;
}

function unknown(program: string, word: string | undefined, names: readonly string[]): UserError {
  const close = word === undefined ? undefined : suggest(word, names);
  return new UserError(
    `${program}: expected a command (${names.join(', ')}), got ${word === undefined ? 'none' : show(word)}; ` +
      (close ? `did you mean "${program} ${close}"?` : `see "${program} --help"`),
  );
}

function help({ name, summary, commands }: ProgramDefinition<Commands>): string {
  const width = Math.max(...Object.keys(commands).map((word) => word.length));
  const lines = Object.entries(commands).map(
    ([word, command]) => `  ${word.padEnd(width)}  ${command.summary}`,
  );
  const examples = Object.values(commands).map(
    ({ examples: [{ line, does }] }) => `  ${line}\n      ${does}`,
  );
  return `Usage: ${name} COMMAND [options]

${summary}

Commands:
${lines.join('\n')}

Options:
  --version  show the version
  --help     show this help; "${name} COMMAND --help" shows a command's options

Examples:
${examples.join('\n')}
`;
}
