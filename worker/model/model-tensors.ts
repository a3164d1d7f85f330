// A LayersModel as the mesh sees it: its tensors in canonical order (that of model.weights), which of them are
// trained, averaged or frozen, and their values in and out.
import type { Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { elementsOf, type TensorSpec } from '../../shared/blocks/manifest.js';
import { UserError } from '../../shared/errors.js';
import { fromValues, readValues } from './tensor-io.js';

export interface ModelTensor extends TensorSpec {
  readonly variable: Variable;
}

interface LayerVariable {
  readonly id: number;
  readonly originalName: string;
  readonly trainable: boolean;
  readonly val: Variable;
}

/** What is read of a layer: those that hold other layers (models, wrappers, recurrent ones) hold them as properties. */
interface InnerLayer {
  readonly _trainableWeights: readonly LayerVariable[];
}

const isLayer = (value: unknown): value is InnerLayer =>
  typeof value === 'object' && value !== null && '_trainableWeights' in value;

/** Ids of the weights that some layer made to be trained, frozen or not: the others are state (moving statistics). */
function madeToBeTrained(
  layer: InnerLayer,
  visited = new Set<InnerLayer>(),
  ids = new Set<number>(),
): Set<number> {
  if (visited.has(layer)) return ids;
  visited.add(layer);
  for (const { id } of layer._trainableWeights) ids.add(id);
  for (const value of Object.values(layer))
    for (const inner of Array.isArray(value) ? value : [value])
      if (isLayer(inner)) madeToBeTrained(inner, visited, ids);
  return ids;
}

/** The model's tensors in canonical order. Throws UserError where the model is not built or holds other than fp32. */
export function tensorsOf(model: LayersModel): ModelTensor[] {
  const weights = model.weights as unknown as LayerVariable[];
  if (weights.length === 0)
    throw new UserError(
      'the model has no weights: expected a built model; give its first layer an inputShape',
    );
  const trained = new Set((model.trainableWeights as unknown as LayerVariable[]).map(({ id }) => id));
  const trainable = madeToBeTrained(model as unknown as InnerLayer);
  const used = new Map<string, number>();
  return weights.map((weight): ModelTensor => {
    const variable = weight.val;
    if (variable.dtype !== 'float32')
      throw new UserError(`the weight '${weight.originalName}' holds ${variable.dtype}: expected float32`);
    const count = (used.get(weight.originalName) ?? 0) + 1;
    used.set(weight.originalName, count);
    return {
      name: count === 1 ? weight.originalName : `${weight.originalName}#${count}`,
      shape: variable.shape,
      kind: trained.has(weight.id) ? 'trainable' : trainable.has(weight.id) ? 'frozen' : 'state',
      variable,
    };
  });
}

/** Copies fp32 values into the model's variables. `at` gives the values of tensor i; they may be overwritten after. */
export function assignTensors(
  tensors: readonly ModelTensor[],
  at: (index: number) => Float32Array,
  which: (tensor: ModelTensor) => boolean = () => true,
): void {
  for (const [index, entry] of tensors.entries()) {
    if (!which(entry)) continue;
    const next = fromValues(at(index), entry.shape);
    entry.variable.assign(next);
    next.dispose();
  }
}

/** Copies the model's variables into fp32 arrays. */
export async function readTensors(
  tensors: readonly ModelTensor[],
  at: (index: number) => Float32Array,
  which: (tensor: ModelTensor) => boolean = () => true,
): Promise<void> {
  for (const [index, entry] of tensors.entries())
    if (which(entry)) await readValues(entry.variable, at(index));
}

/** Number of elements of all tensors. */
export function countElements(tensors: readonly TensorSpec[]): number {
  return tensors.reduce((sum, { shape }) => sum + elementsOf(shape), 0);
}
