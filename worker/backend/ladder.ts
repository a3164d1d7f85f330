// Which backend computes the gradients. Tried in the order below, unless the user names one; the native ones are
// optional packages, loaded only here, so that nobody without a GPU has to download them. A backend counts as there
// only after it has computed a small product and its gradient (probe.ts).
import { backend, findBackendFactory, removeBackend, setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { UserError } from '../../shared/errors.js';
import { registerChainedOps } from './chained-ops.js';
import { startCuda, startTensorflow } from './native.js';
import { type Load, loadOptional } from './optional-package.js';
import { probeCurrent } from './probe.js';
import { startWasm } from './wasm/index.js';
import { startWebgpu } from './webgpu.js';

export interface Choice {
  name: BackendName;
  /** One line: which backend it is, and why not the ones before it. */
  why: string;
}

interface Rung {
  /** npm packages that the user installs for it. */
  packages: string[];
  /** Its name in tfjs. */
  backend: string;
  /** Starts it and makes it the current backend, or throws. */
  start(load: Load): Promise<unknown>;
}

async function startCpu(): Promise<void> {
  await setBackend('cpu');
  // Keeps it from printing an advertisement of tfjs-node at its first tensor.
  (backend() as { firstUse?: boolean }).firstUse = false;
}

const RUNGS = {
  cuda: { packages: ['@tensorflow/tfjs-node-gpu'], backend: 'tensorflow', start: startCuda },
  webgpu: { packages: ['webgpu', '@tensorflow/tfjs-backend-webgpu'], backend: 'webgpu', start: startWebgpu },
  tensorflow: { packages: ['@tensorflow/tfjs-node'], backend: 'tensorflow', start: startTensorflow },
  wasm: { packages: [], backend: 'wasm', start: startWasm },
  cpu: { packages: [], backend: 'cpu', start: startCpu },
} satisfies Record<string, Rung>;

export type BackendName = keyof typeof RUNGS;

/** All names that `chooseBackend` takes, in the order in which they are tried. */
export const BACKENDS = Object.keys(RUNGS) as BackendName[];

/** Which of the packages is missing, if an import failed for that reason and no other. */
function missingPackage(error: unknown, packages: string[]): string | undefined {
  const { code, message = '' } = error as { code?: string; message?: string };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined;
  return packages.find((name) => message.includes(`'${name}'`));
}

/** Tries one backend. Returns undefined if it works, else why not. */
async function attempt(
  name: BackendName,
  load: Load,
): Promise<{ missing: boolean; reason: string } | undefined> {
  const rung: Rung = RUNGS[name];
  try {
    await rung.start(load);
    await probeCurrent();
    return undefined;
  } catch (error) {
    const missing = missingPackage(error, rung.packages);
    if (missing) return { missing: true, reason: `${missing} is not installed` };
    // A package that loaded and then failed must not be what the next one finds under its name.
    if (rung.packages.length > 0 && findBackendFactory(rung.backend) !== null) removeBackend(rung.backend);
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
    const what = rung.packages[0] ?? 'it';
    return { missing: false, reason: `${what} does not start: ${line}` };
  }
}

async function chooseNamed(name: BackendName, load: Load): Promise<Choice> {
  const failure = await attempt(name, load);
  if (failure === undefined) return { name, why: `${name}: asked for by name` };
  const { packages } = RUNGS[name] as Rung;
  const remedy = failure.missing
    ? `install it with: npm install ${packages.join(' ')}`
    : 'repair that, or leave --backend away to take what works';
  throw new UserError(`backend ${name} is not available: ${failure.reason}; ${remedy}`);
}

/**
 * Makes a backend the current one of tfjs-core.
 * @param wanted a name of `BACKENDS`; without one the first that works is taken
 * @param load how optional packages are loaded
 * @throws UserError if the name is unknown, or the backend asked for is absent or does not work
 */
export async function chooseBackend(wanted?: string, load: Load = loadOptional): Promise<Choice> {
  registerChainedOps();
  if (wanted !== undefined) {
    if (!Object.hasOwn(RUNGS, wanted)) {
      throw new UserError(`expected a backend of ${BACKENDS.join(', ')}, got ${wanted}`);
    }
    return chooseNamed(wanted as BackendName, load);
  }
  const reasons: string[] = [];
  for (const name of BACKENDS) {
    const failure = await attempt(name, load);
    if (failure === undefined) {
      return {
        name,
        why: reasons.length > 0 ? `${name}: ${reasons.join(', ')}` : `${name}: the first choice`,
      };
    }
    reasons.push(`no ${name} (${failure.reason})`);
  }
  throw new UserError(`no backend works here: ${reasons.join(', ')}`);
}
