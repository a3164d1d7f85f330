// Kinds of options: what all of a kind have in common, so that an entry of the table says only what is its own.
import { z } from 'zod';
import { OPTION_CHARACTERS_MAX } from '../../limits.js';
import { storeFault } from '../../snapshot/store.js';
import { type Address, parseAddress } from '../address.js';
import type { Option, Plain } from '../option.js';

interface Description {
  flag: string;
  help: string;
  placeholder?: string;
  /** How the help describes what happens where the option is not given. */
  fallback?: string;
}

type Spec<T> = Description & Pick<Option<T>, 'kind' | 'schema' | 'expected' | 'example'>;

export const optional = <T>(spec: Spec<T>): Option<T, false> => ({
  ...spec,
  default: undefined,
  required: false,
});
export const defaulting = <T>(spec: Spec<T>, value: Plain): Option<T, true> => ({
  ...spec,
  default: value,
  required: false,
});

/** The same option, without which the binary does not start. */
export function required<T>(option: Option<T>): Option<T, true> {
  return { ...option, required: true, fallback: undefined, present: true };
}

export function whole(description: Description, min: number, max: number, example: number): Spec<number> {
  return {
    placeholder: 'N',
    ...description,
    kind: 'number',
    schema: z.int().min(min).max(max),
    expected:
      max === Number.MAX_SAFE_INTEGER
        ? 'a whole number of at most 53 bits'
        : `a whole number from ${min} to ${max}`,
    example,
  };
}

export function real(
  description: Description,
  schema: z.ZodType<number>,
  expected: string,
  example: number,
): Spec<number> {
  return { placeholder: 'X', ...description, kind: 'number', schema, expected, example };
}

export function oneOf<const V extends string>(
  description: Description,
  values: readonly V[],
  example: NoInfer<V>,
): Spec<V> {
  return {
    placeholder: 'NAME',
    ...description,
    help: `${description.help}: ${values.join(', ')}`,
    kind: 'string',
    schema: z.enum(values) as unknown as z.ZodType<V>,
    expected: values.length === 1 ? values[0] : `one of ${values.join(', ')}`,
    example,
  };
}

export function text(
  description: Description,
  expected: string,
  most: number,
  example: string,
): Spec<string> {
  const schema = z
    .string()
    .min(1)
    .max(most)
    .refine((value) => !value.includes('\0'));
  return { ...description, kind: 'string', schema, expected, example };
}

export const path = (description: Description, expected: string, example: string): Spec<string> =>
  text(description, expected, OPTION_CHARACTERS_MAX, example);

/** A folder on a disk, or a prefix in a bucket. */
export function folderOrBucket(description: Description): Spec<string> {
  const expected = 'a folder or s3://BUCKET/PREFIX';
  const spec = path(description, expected, 'snapshots/');
  return {
    ...spec,
    schema: spec.schema.refine((value) => storeFault(value) === undefined, {
      message:
        'after s3:// stands the name of a bucket, of 3 characters at least, and then names between single slashes',
    }),
  };
}

export function address(description: Description, leastPort: 0 | 1, example: string): Spec<Address> {
  const schema = z.string().transform((value, context): Address => {
    try {
      const found = parseAddress(value);
      if (found.port >= leastPort) return found;
      context.addIssue('port 0 is for listening, not for connecting');
    } catch (error) {
      context.addIssue((error as Error).message);
    }
    return z.NEVER;
  });
  return { placeholder: 'HOST:PORT', ...description, kind: 'string', schema, expected: 'HOST:PORT', example };
}

export function addresses(description: Description, most: number, example: string): Spec<Address[]> {
  const schema = z.string().transform((value, context): Address[] => {
    try {
      const found = value.split(',').map(parseAddress);
      if (found.length <= most && found.every(({ port }) => port > 0)) return found;
      context.addIssue(
        found.length > most ? `at most ${most}` : 'port 0 is for listening, not for connecting',
      );
    } catch (error) {
      context.addIssue((error as Error).message);
    }
    return z.NEVER;
  });
  return {
    ...{ placeholder: 'HOST:PORT,…', ...description, kind: 'string' as const, schema },
    ...{ expected: 'HOST:PORT, or several with commas between them', example },
  };
}

export const onOff = (description: Description): Option<boolean, true> => ({
  ...description,
  kind: 'switch',
  schema: z.boolean(),
  expected: 'true or false',
  example: true,
  default: false,
  required: false,
});
