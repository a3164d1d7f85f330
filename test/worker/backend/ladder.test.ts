import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import {
  copyRegisteredKernels,
  getBackend,
  getKernelsForBackend,
  matMul,
  registerBackend,
  removeBackend,
  tensor,
  tidy,
} from '@tensorflow/tfjs-core';
import test from 'ava';
import { UserError } from '../../../shared/errors.js';
import { BACKENDS, chooseBackend } from '../../../worker/backend/ladder.js';
import type { Load } from '../../../worker/backend/optional-package.js';

/** Fails as Node does for a package that is not there. */
const absent: Load = async (name) => {
  throw Object.assign(new Error(`Cannot find package '${name}' imported from ladder.js`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
};

/** Packages that load by running what is given, the others absent. */
const present =
  (packages: Record<string, () => unknown>): Load =>
  async (name) =>
    Object.hasOwn(packages, name) ? packages[name]() : absent(name);

const brokenDriver = () => {
  throw new Error('libcudart.so.11.0: cannot open shared object file: No such file or directory\nmore lines');
};

/** What tfjs-node-gpu does on a machine without a GPU: it registers, and computes on the CPU. */
const registerTensorflow = (isUsingGpuDevice: boolean) => () => {
  if (getKernelsForBackend('tensorflow').length === 0) copyRegisteredKernels('cpu', 'tensorflow');
  registerBackend('tensorflow', () =>
    Object.assign(new MathBackendCPU(), { isUsingGpuDevice, firstUse: false }),
  );
  return {};
};

test.afterEach(() => {
  if (getBackend() === 'tensorflow') removeBackend('tensorflow');
});

test.serial(
  'without native packages wasm is chosen, and the line names each package that is missing',
  async (t) => {
    t.deepEqual(await chooseBackend(undefined, absent), {
      name: 'wasm',
      why:
        'wasm: no cuda (@tensorflow/tfjs-node-gpu is not installed), no webgpu (webgpu is not installed), ' +
        'no tensorflow (@tensorflow/tfjs-node is not installed)',
    });
    t.is(getBackend(), 'wasm');
  },
);

for (const [name, command] of [
  ['cuda', 'npm install @tensorflow/tfjs-node-gpu'],
  ['webgpu', 'npm install webgpu @tensorflow/tfjs-backend-webgpu'],
  ['tensorflow', 'npm install @tensorflow/tfjs-node'],
]) {
  test.serial(
    `${name}, asked for by name and absent, is refused in one line with what to install`,
    async (t) => {
      const error = await t.throwsAsync(chooseBackend(name, absent), { instanceOf: UserError });
      t.true(error.message.endsWith(command), error.message);
      t.false(error.message.includes('\n'));
    },
  );
}

test.serial(
  'a package that is there but does not load is named with the reason, and the ladder goes on',
  async (t) => {
    const load = present({ '@tensorflow/tfjs-node-gpu': brokenDriver });
    const { name, why } = await chooseBackend(undefined, load);
    t.is(name, 'wasm');
    t.regex(why, /no cuda \(@tensorflow\/tfjs-node-gpu does not start: libcudart\.so\.11\.0: .* directory\)/);
    t.false(why.includes('\n'));
  },
);

test.serial(
  'a package that is there but does not load is an error if it was asked for by name',
  async (t) => {
    const load = present({ '@tensorflow/tfjs-node-gpu': brokenDriver });
    const error = await t.throwsAsync(chooseBackend('cuda', load), { instanceOf: UserError });
    t.regex(error.message, /backend cuda is not available: .* libcudart/);
  },
);

test.serial('a package whose own dependency is missing counts as broken, not as absent', async (t) => {
  const load = present({ '@tensorflow/tfjs-node': () => absent('node-pre-gyp') });
  const error = await t.throwsAsync(chooseBackend('tensorflow', load), { instanceOf: UserError });
  t.regex(error.message, /does not start: Cannot find package 'node-pre-gyp'/);
});

test.serial('tfjs-node-gpu without a GPU is not taken for cuda', async (t) => {
  const load = present({ '@tensorflow/tfjs-node-gpu': registerTensorflow(false) });
  const { name, why } = await chooseBackend(undefined, load);
  t.is(name, 'wasm');
  t.regex(why, /no cuda \(@tensorflow\/tfjs-node-gpu does not start: it found no GPU/);
});

test.serial('the first backend that computes correctly is chosen', async (t) => {
  const load = present({ '@tensorflow/tfjs-node': registerTensorflow(false) });
  const { name, why } = await chooseBackend(undefined, load);
  t.is(name, 'tensorflow');
  t.is(getBackend(), 'tensorflow');
  t.regex(why, /^tensorflow: no cuda \(.*\), no webgpu \(.*\)$/);
});

test.serial('a backend that computes nothing is passed over', async (t) => {
  const load = present({ '@tensorflow/tfjs-node': () => registerBackend('tensorflow', () => new Hollow()) });
  const { name, why } = await chooseBackend(undefined, load);
  t.is(name, 'wasm');
  t.regex(why, /no tensorflow \(@tensorflow\/tfjs-node does not start: /);
});

/** A backend that starts and has no kernels that work on it. */
class Hollow extends MathBackendCPU {
  override write(): never {
    throw new Error('device lost');
  }
}

test.serial('wasm and cpu can be asked for by name, in any order', async (t) => {
  for (const name of ['cpu', 'wasm', 'cpu'] as const) {
    t.deepEqual(await chooseBackend(name, absent), { name, why: `${name}: asked for by name` });
    t.is(getBackend(), name);
    tidy(() => t.deepEqual([...matMul(tensor([[2]]), tensor([[3]])).dataSync()], [6]));
  }
});

test.serial('an unknown name is refused with the names there are', async (t) => {
  for (const name of ['gpu', 'WASM', '', 'constructor']) {
    const error = await t.throwsAsync(chooseBackend(name, absent), { instanceOf: UserError });
    for (const known of BACKENDS) t.true(error.message.includes(known));
  }
});

test.serial('wasm is the mended one', async (t) => {
  await chooseBackend('wasm', absent);
  tidy(() => {
    // The stock backend refuses int32 products.
    const product = matMul(tensor([[2, 3]], [1, 2], 'int32'), tensor([[4], [5]], [2, 1], 'int32'));
    t.deepEqual([...product.dataSync()], [23]);
  });
});
