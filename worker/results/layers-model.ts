// The trained model as TensorFlow.js itself saves it: a folder with model.json and weights.bin, which
// `tf.loadLayersModel` reads in Node, in a browser or through the converters.
// The folder is written beside its place and renamed into it, so that it is never seen half done.
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { io } from '@tensorflow/tfjs-core';
import { type LayersModel, loadLayersModel as loadFrom } from '@tensorflow/tfjs-layers';
import {
  isSystemError,
  reason,
  syncFolder,
  temporaryName,
  unreadable,
  writeFileAtomic,
} from '../../shared/atomic-file.js';
import { RunError, sentence, UserError } from '../../shared/errors.js';
import { MODEL_JSON_MAX_BYTES } from '../../shared/limits.js';

const MODEL_FILE = 'model.json';
const WEIGHTS_FILE = 'weights.bin';

/**
 * Saves a model, replacing a folder of that name.
 * @param folder its parent must exist
 * @throws RunError where the disk does not take it
 */
export async function saveLayersModel(model: LayersModel, folder: string): Promise<void> {
  let artifacts: io.ModelArtifacts | undefined;
  await model.save(
    io.withSaveHandler(async (found) => {
      artifacts = found;
      return { modelArtifactsInfo: io.getModelArtifactsInfoForJSON(found) };
    }),
  );
  if (!artifacts?.weightSpecs || artifacts.weightData === undefined) {
    throw new Error(`the model ${model.name} gave no weights to save`);
  }
  const manifest = [{ paths: [WEIGHTS_FILE], weights: artifacts.weightSpecs }];
  const { weightData: _, weightSpecs: __, ...described } = artifacts;
  const modelJson = { ...described, weightsManifest: manifest };
  const buffers = Array.isArray(artifacts.weightData) ? artifacts.weightData : [artifacts.weightData];
  const target = resolve(folder);
  const temporary = temporaryName(target);
  const replaced = temporaryName(target);
  try {
    await mkdir(temporary);
    await writeFileAtomic(
      join(temporary, WEIGHTS_FILE),
      buffers.map((buffer) => new Uint8Array(buffer)),
    );
    await writeFileAtomic(join(temporary, MODEL_FILE), [JSON.stringify(modelJson)]);
    const moved = await moveAway(target, replaced);
    await rename(temporary, target);
    await syncFolder(resolve(target, '..'));
    if (moved) await rm(replaced, { recursive: true, force: true });
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (isSystemError(error))
      throw new RunError(
        `Cannot save the model in ${folder}: ${reason(error)}; mend that, or give another folder`,
        {
          cause: error,
        },
      );
    throw error;
  }
}

/**
 * Loads what `saveLayersModel` (or any TensorFlow.js) has saved in a folder.
 * @throws UserError that names the file, where one is missing, too large or does not fit the other
 */
export async function loadLayersModel(folder: string): Promise<LayersModel> {
  const file = join(folder, MODEL_FILE);
  const modelJson = await readModelJson(file);
  const weightSpecs = modelJson.weightsManifest.flatMap(({ weights }) => weights);
  const paths = modelJson.weightsManifest.flatMap((group) => group.paths);
  const parts: Buffer[] = [];
  for (const path of paths) {
    if (typeof path !== 'string' || path !== basename(path)) {
      throw new UserError(`${file}: expected weights beside it, got the path ${JSON.stringify(path)}`);
    }
    parts.push(await readBounded(join(folder, path), Number.MAX_SAFE_INTEGER));
  }
  const bytes = Buffer.concat(parts);
  const expected = weightSpecs.reduce((sum, spec) => sum + specBytes(spec, file), 0);
  if (bytes.length !== expected) {
    throw new UserError(
      `The weights in ${folder} have ${bytes.length} bytes, but ${MODEL_FILE} describes ${expected}; save the model anew`,
    );
  }
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  try {
    return await loadFrom(io.fromMemory({ ...modelJson, weightSpecs, weightData }));
  } catch (error) {
    throw new UserError(
      `TensorFlow.js cannot make a model of ${file}: ${sentence(error)}; save the model anew`,
    );
  }
}

const isList = (value: unknown): boolean => Array.isArray(value) && value.every((entry) => entry !== null);

function specBytes({ dtype, shape, name, quantization }: io.WeightsManifestEntry, file: string): number {
  const sizes: Partial<Record<string, number>> = {
    float32: 4,
    int32: 4,
    bool: 1,
    float16: 2,
    uint16: 2,
    uint8: 1,
  };
  const size = sizes[quantization?.dtype ?? dtype];
  const whole = Array.isArray(shape) && shape.every((length) => Number.isSafeInteger(length) && length >= 0);
  if (size === undefined || !whole) {
    throw new UserError(
      `${file}: the weight ${name} has a type or shape that is not known (${dtype}, [${shape}])`,
    );
  }
  return shape.reduce((product, length) => product * length, size);
}

async function readModelJson(file: string): Promise<io.ModelJSON> {
  const text = (await readBounded(file, MODEL_JSON_MAX_BYTES)).toString();
  let parsed: io.ModelJSON;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file} is not valid JSON: ${(error as Error).message}; save the model anew`);
  }
  const groups = parsed?.weightsManifest;
  const described =
    Array.isArray(groups) && groups.every((group) => isList(group?.paths) && isList(group?.weights));
  if (!parsed?.modelTopology || !described) {
    throw new UserError(
      `${file}: expected modelTopology and weightsManifest; is it a TensorFlow.js LayersModel?`,
    );
  }
  return parsed;
}

async function readBounded(file: string, mostBytes: number): Promise<Buffer> {
  try {
    await using handle = await open(file, 'r');
    const { size } = await handle.stat();
    if (size > mostBytes) throw new UserError(`${file} has ${size} bytes, expected at most ${mostBytes}`);
    return await readFile(handle);
  } catch (error) {
    throw unreadable(file, error);
  }
}

async function moveAway(from: string, to: string): Promise<boolean> {
  const there = await stat(from).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return false;
    },
  );
  if (there) await rename(from, to);
  return there;
}
