// The model as the mesh sees it: named tensors in canonical order, and the hash by which two nodes
// make sure that they speak of the same model before any parameter moves.
import { createHash } from 'node:crypto';
import { NAME_CHARACTERS_MAX, TENSOR_RANK_MAX, TENSORS_MAX } from '../limits.js';

/** `trainable`: updated by the optimizer. `state`: averaged over workers. `frozen`: held, never exchanged. */
export type TensorKind = 'trainable' | 'state' | 'frozen';

export interface TensorSpec {
  readonly name: string;
  /** Dimensions; empty for a scalar. */
  readonly shape: readonly number[];
  readonly kind: TensorKind;
}

/** Number of elements of a shape (1 for a scalar). */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** SHA-256 over a canonical text of the tensors: names, shapes and kinds, in order. 32 bytes. */
export function schemaHash(tensors: readonly TensorSpec[]): Buffer {
  const text = tensors.map((tensor) => JSON.stringify([tensor.name, tensor.shape, tensor.kind])).join('\n');
  return createHash('sha256').update(text).digest();
}

/** What is wrong with a list of tensors that came from elsewhere, in a sentence; undefined if nothing. */
export function manifestFault(tensors: readonly TensorSpec[]): string | undefined {
  if (tensors.length === 0) return 'expected a model with at least one tensor, got none';
  if (tensors.length > TENSORS_MAX) return `expected at most ${TENSORS_MAX} tensors, got ${tensors.length}`;
  const names = new Set<string>();
  for (const { name, shape } of tensors) {
    if (name.length === 0 || name.length > NAME_CHARACTERS_MAX)
      return `expected tensor names of 1 to ${NAME_CHARACTERS_MAX} characters, got one of ${name.length}`;
    if (names.has(name)) return `expected tensor names to differ, got '${name}' twice`;
    names.add(name);
    if (shape.length > TENSOR_RANK_MAX)
      return `expected at most ${TENSOR_RANK_MAX} dimensions, got ${shape.length} in tensor '${name}'`;
    if (shape.some((dimension) => !Number.isSafeInteger(dimension) || dimension < 1))
      return `expected positive dimensions, got [${shape}] in tensor '${name}'`;
    if (!Number.isSafeInteger(elementsOf(shape)))
      return `tensor '${name}' of shape [${shape}] is too large to count`;
  }
  return undefined;
}

/** The first difference between two models, in words; undefined if they are the same. */
export function manifestDifference(
  ours: readonly TensorSpec[],
  theirs: readonly TensorSpec[],
): string | undefined {
  const count = Math.max(ours.length, theirs.length);
  for (let index = 0; index < count; index++) {
    const a = ours[index];
    const b = theirs[index];
    if (!a)
      return `expected ${ours.length} tensors, got ${theirs.length}; the first extra one is '${b.name}'`;
    if (!b)
      return `expected ${ours.length} tensors, got ${theirs.length}; the first missing one is '${a.name}'`;
    const describe = (tensor: TensorSpec) => `${tensor.kind} '${tensor.name}' of shape [${tensor.shape}]`;
    if (describe(a) !== describe(b))
      return `expected tensor ${index} to be ${describe(a)}, got ${describe(b)}`;
  }
  return undefined;
}
