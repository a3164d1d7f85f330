// What an option is, and how its value is read from text (flag, environment) or from JSON (config file).
// A value goes text → plain JSON value → validated and compiled by the option's zod schema.
// A value that does not fit is answered with what was expected, what came and from where, and an example.
import type { z } from 'zod';
import { UserError } from '../errors.js';

/** The kind of JSON value that an option takes; text from a flag or the environment is turned into it first. */
export type ValueKind = 'string' | 'number' | 'switch';
export type Plain = string | number | boolean;

export interface Option<T = unknown, Present extends boolean = boolean> {
  /** The flag without its dashes; the key in the config file. */
  readonly flag: string;
  readonly kind: ValueKind;
  /** Validates a plain value and compiles it to what the program uses. */
  readonly schema: z.ZodType<T, unknown>;
  /** The default, as it would stand in a config file; undefined where there is none. */
  readonly default: Plain | undefined;
  /** Where there is no default: how the help describes what happens instead. */
  readonly fallback?: string;
  readonly required: boolean;
  /** What stands after the flag in the help, e.g. `HOST:PORT`; undefined for a switch. */
  readonly placeholder?: string;
  readonly help: string;
  /** Completes "expected …". */
  readonly expected: string;
  /** A value that would be accepted. */
  readonly example: Plain;
  /** Only a type: whether the compiled option is always there (it has a default, or is required). */
  readonly present?: Present;
}

/** Where a value came from; messages say it, because the mistake is to be mended there. */
export type Source =
  | { readonly kind: 'flag' }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'config'; readonly file: string }
  | { readonly kind: 'default' };

/** The environment variable of a flag: `learning-rate` is read from `GRADLOOM_LEARNING_RATE`. */
export function variableOf(flag: string): string {
  return `GRADLOOM_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** "on the command line", "in GRADLOOM_EPOCHS", "in run.json" or "by default". */
export function describeSource(source: Source): string {
  switch (source.kind) {
    case 'flag':
      return 'on the command line';
    case 'environment':
      return `in ${source.variable}`;
    case 'config':
      return `in ${source.file}`;
    case 'default':
      return 'by default';
  }
}

/** How the option is written at a source: `--epochs`, `GRADLOOM_EPOCHS` or `"epochs" in run.json`. */
export function nameAt(flag: string, source: Source): string {
  if (source.kind === 'environment') return source.variable;
  if (source.kind === 'config') return `"${flag}" in ${source.file}`;
  return `--${flag}`;
}

/** Shows a value in a message: short, on one line, with its JSON type visible. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

const TRUE = ['1', 'true', 'yes', 'on'];
const FALSE = ['0', 'false', 'no', 'off'];

/** Text to a plain value; text that cannot be one stays text, and the schema then refuses it. */
function fromText(option: Option, text: string): unknown {
  if (option.kind === 'number') {
    const trimmed = text.trim();
    return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : text;
  }
  if (option.kind === 'switch') {
    const word = text.trim().toLowerCase();
    if (TRUE.includes(word)) return true;
    return FALSE.includes(word) ? false : text;
  }
  return text;
}

/**
 * Reads one value and compiles it.
 * @param raw text where the source is a flag or the environment, a JSON value where it is the config file
 * @returns the value as a config file would hold it, and as the program uses it
 * @throws UserError
 */
export function readValue(option: Option, raw: unknown, source: Source): { plain: Plain; value: unknown } {
  const plain =
    typeof raw === 'string' && (source.kind === 'flag' || source.kind === 'environment')
      ? fromText(option, raw)
      : raw;
  const result = option.schema.safeParse(plain);
  if (result.success) return { plain: plain as Plain, value: result.data };
  const detail = result.error.issues.find((issue) => issue.code === 'custom')?.message;
  throw new UserError(
    `${nameAt(option.flag, source)}: expected ${option.expected}, got ${show(raw)}` +
      `${detail ? ` (${detail})` : ''}; give for example ${showExample(option, source)}`,
  );
}

function showExample(option: Option, source: Source): string {
  if (source.kind === 'config') return `"${option.flag}": ${JSON.stringify(option.example)}`;
  if (source.kind === 'environment') return `${source.variable}=${option.example}`;
  return option.kind === 'switch' ? `--${option.flag}` : `--${option.flag} ${option.example}`;
}
