// The one door for options: argv, environment and config file in; a compiled, typed configuration out.
// For each option the first of flag, environment, --config file and default wins, and it is remembered which.
// Mistakes are thrown as UserError with a message of one line; the caller only prints it and exits.
import { Command, CommanderError, Option as CommanderOption } from 'commander';
import { UserError } from '../errors.js';
import { readConfigFile } from './file.js';
import { nameAt, type Option, type Plain, readValue, type Source, show, variableOf } from './option.js';
import { OPTIONS } from './options.js';
import { suggest } from './suggest.js';
import { version } from './version.js';

export type Picked = Readonly<Record<string, Option>>;

/** The compiled configuration of a set of options: one field an option, undefined only where it has no default. */
export type Compiled<P extends Picked> = {
  readonly [K in keyof P]: P[K] extends Option<infer T, infer Present>
    ? Present extends true
      ? T
      : T | undefined
    : never;
};

export interface CommandDefinition<P extends Picked = Picked> {
  /** As it is typed: `gradloom-server`, `gradloom up`. */
  readonly name: string;
  readonly summary: string;
  readonly options: P;
  /** An option that may also be given as two words in front, `consistency bsp`: what the command is about. */
  readonly setting?: keyof P & string;
  /** Command lines that work, each with what it does; shown under --help. */
  readonly examples: readonly { readonly line: string; readonly does: string }[];
  /**
   * Refuses options that contradict each other.
   * @param at how a compiled field was written by the user, for messages: `--batch`, `GRADLOOM_BATCH`, …
   * @param given whether the user set a field at all
   */
  readonly check?: (
    options: Compiled<P>,
    at: (key: keyof P & string) => string,
    given: (key: keyof P & string) => boolean,
  ) => void;
}

export interface Run<P extends Picked> {
  readonly kind: 'run';
  readonly options: Compiled<P>;
  /** What every option was set to, in the form of a config file: `--config` of this repeats the run. */
  readonly plain: Readonly<Record<string, Plain>>;
  /** Where each compiled field came from. */
  readonly sources: Readonly<Record<keyof P & string, Source>>;
  /** Sentences about what was probably meant and is not in force; to be shown, not fatal. */
  readonly warnings: readonly string[];
}

/** --help or --version was asked for: print the text on stdout and exit with 0. */
export interface Print {
  readonly kind: 'print';
  readonly text: string;
}

/** A definition without its checks, which is all that the help and the reading of flags need. */
type Described = Omit<CommandDefinition, 'check'>;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Parses the options of one command.
 * @param argv the arguments after the command's name
 * @throws UserError
 */
export async function parseOptions<P extends Picked>(
  definition: CommandDefinition<P>,
  argv: readonly string[],
  environment: Environment,
): Promise<Run<P> | Print> {
  const flags = readFlags(definition, settingAsFlag(definition, argv));
  if ('kind' in flags) return flags;

  const keys = Object.keys(definition.options) as (keyof P & string)[];
  const known = keys.map((key) => definition.options[key].flag);
  const read = (option: Option): { source: Source; raw: unknown } | undefined => {
    const given = flags.values.get(option.flag);
    if (given !== undefined) return { source: { kind: 'flag' }, raw: given };
    const variable = variableOf(option.flag);
    const text = environment[variable];
    // An empty variable is an unset one: that is what `VARIABLE=${VARIABLE:-}` in compose and systemd files means.
    if (text !== undefined && text !== '') return { source: { kind: 'environment', variable }, raw: text };
    return undefined;
  };

  const configOption = keys
    .map((key) => definition.options[key])
    .find(({ flag }) => flag === OPTIONS.config.flag);
  const configGiven = configOption && read(configOption);
  const file =
    configOption &&
    configGiven &&
    (readValue(configOption, configGiven.raw, configGiven.source).value as string);
  const config = file === undefined ? undefined : await readConfigFile(file, known, definition.name);
  if (file !== undefined && config?.has(OPTIONS.config.flag)) {
    throw new UserError(
      `"${OPTIONS.config.flag}" in ${file}: a config file cannot name another one; remove the key`,
    );
  }

  const options: Record<string, unknown> = {};
  const plain: Record<string, Plain> = {};
  const sources: Record<string, Source> = {};
  for (const key of keys) {
    const option = definition.options[key];
    const found = read(option) ?? fromConfig(option, config, file) ?? fromDefault(option);
    sources[key] = found?.source ?? { kind: 'default' };
    if (found === undefined) {
      if (option.required) throw missing(option, definition.name);
      options[key] = undefined;
      continue;
    }
    const result = readValue(option, found.raw, found.source);
    options[key] = result.value;
    if (option.flag !== OPTIONS.config.flag) plain[option.flag] = result.plain;
  }
  const compiled = options as Compiled<P>;
  definition.check?.(
    compiled,
    (key) => nameAt(definition.options[key].flag, sources[key]),
    (key) => sources[key].kind !== 'default',
  );
  return {
    kind: 'run',
    options: compiled,
    plain,
    sources: sources as Run<P>['sources'],
    warnings: nearMisses(environment),
  };
}

function settingAsFlag<P extends Picked>(
  { setting, options }: CommandDefinition<P>,
  argv: readonly string[],
): readonly string[] {
  if (setting === undefined || argv[0] !== options[setting].flag) return argv;
  return [`--${argv[0]}`, ...argv.slice(1)];
}

/** The environment without our variables, for a child that gets all its options as flags. */
export function withoutOptions(environment: Environment): Record<string, string | undefined> {
  const variables = new Set(Object.values(OPTIONS).map(({ flag }) => variableOf(flag)));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !variables.has(name)));
}

function fromConfig(option: Option, config: Map<string, unknown> | undefined, file: string | undefined) {
  if (file === undefined || !config?.has(option.flag)) return undefined;
  return { source: { kind: 'config', file } as Source, raw: config.get(option.flag) };
}

function fromDefault(option: Option) {
  return option.default === undefined || option.required
    ? undefined
    : { source: { kind: 'default' } as Source, raw: option.default as unknown };
}

/** A required option that nobody gave. */
export function missing(option: Option, command: string): UserError {
  return new UserError(
    `${command}: expected --${option.flag} ${option.placeholder}, got none; give it as a flag, ` +
      `as ${variableOf(option.flag)} or in --config, for example --${option.flag} ${option.example}`,
  );
}

/** Variables that look like ours and are not: a typing mistake would else be ignored without a word. */
function nearMisses(environment: Environment): string[] {
  const variables = Object.values(OPTIONS).map(({ flag }) => variableOf(flag));
  const warnings: string[] = [];
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('GRADLOOM_') || variables.includes(name)) continue;
    const close = suggest(name, variables);
    if (close)
      warnings.push(`The environment variable ${name} is unknown and ignored; did you mean ${close}?`);
  }
  return warnings;
}

function readFlags(
  definition: Described,
  argv: readonly string[],
): { values: Map<string, string | boolean> } | Print {
  let printed = '';
  const command = new Command(definition.name)
    .description(definition.summary)
    .version(version(), '--version', 'show the version')
    .helpOption('--help', 'show this help')
    .allowExcessArguments(false)
    .exitOverride()
    .configureHelp({ helpWidth: 110 })
    .configureOutput({ writeOut: (text) => (printed += text), writeErr: () => undefined });
  for (const option of Object.values(definition.options)) {
    const value = option.placeholder === undefined ? '' : ` <${option.placeholder}>`;
    command.addOption(new CommanderOption(`--${option.flag}${value}`, describe(option)));
  }
  command.addHelpText('after', footer(definition));
  try {
    command.parse(argv as string[], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'print', text: printed };
    throw new UserError(`${definition.name}: ${explain(error, command)}`);
  }
  const values = new Map<string, string | boolean>();
  const typed = command.opts() as Record<string, string | boolean>;
  for (const option of command.options) {
    const value = typed[option.attributeName()];
    const flag = option.long?.slice(2) ?? '';
    if (value === undefined || flag === 'version') continue;
    if (typeof value === 'string' && command.options.some(({ long }) => long === value)) {
      throw new UserError(
        `--${flag}: expected a value, got the next option ${value}; put the value between them`,
      );
    }
    values.set(flag, value);
  }
  return { values };
}

/** What commander found, in our words; its suggestion ("Did you mean …") is kept. */
function explain(error: CommanderError, command: Command): string {
  const hint = /\(Did you mean (.+?)\?\)/.exec(error.message)?.[1];
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  const flag = quoted.split(/[ =]/)[0];
  const see = `see "${command.name()} --help"`;
  switch (error.code) {
    case 'commander.unknownOption':
      if (quoted.includes('=') && hint === flag)
        return `${flag} takes no value, got ${quoted}; give ${flag} alone`;
      return `there is no option ${quoted}; ${hint ? `did you mean ${hint}?` : see}`;
    case 'commander.optionMissingArgument':
      return `${flag} expects ${quoted.slice(flag.length + 1)}, got nothing after it; ${see}`;
    case 'commander.excessArguments':
      return `expected only options, got ${show(command.args[0])}; ${see}`;
    default:
      return `${error.message
        .replace(/^error: /, '')
        .replace(/\s*\n\s*/g, ' ')
        .trim()}; ${see}`;
  }
}

function describe(option: Option): string {
  if (option.required) return `${option.help} (required)`;
  if (option.kind === 'switch') return option.help;
  return `${option.help} (default: ${option.default ?? option.fallback})`;
}

function footer({ examples, name }: Described): string {
  const lines = examples.map(({ line, does }) => `  ${line}\n      ${does}`);
  return `
Every option may also stand in the environment (${variableOf('learning-rate')}=0.001 for --learning-rate 0.001)
or in the file of --config ({"learning-rate": 0.001}); a flag goes before the environment, the environment before
the file.

Examples of ${name}:
${lines.join('\n')}`;
}
