// Which images a tree of files holds, of which class and split: a pure function of the list of its entries.
// The numbering of the records follows split, class and file name, so that it is the same for a folder and for
// an archive of it, in whatever order the archive was made.
import { UserError } from '../../shared/errors.js';
import { CLASSES_MAX, IMAGE_FILE_MAX_BYTES } from '../../shared/limits.js';
import type { ContainerEntry } from './container.js';
import type { Split } from './source.js';

/** One image in the order in which the container passes it. */
export interface TreeImage {
  path: string;
  entry: number;
  sizeBytes: number;
  label: number;
  /** Its number among the records of the source. */
  index: number;
}

export interface ImageTree {
  classes: string[];
  splits: Record<Split, number>;
  images: TreeImage[];
}

const SPLITS: readonly Split[] = ['train', 'test'];
const IMAGE_NAME = /\.(jpe?g|png)$/i;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The path above `train/` and `test/`, or nothing when there is no such folder. */
export function treeRoot(entries: readonly ContainerEntry[]): string | undefined {
  const roots = entries.flatMap(({ path, folder }) => {
    const parts = path.split('/');
    const at = parts.findIndex((part) => (SPLITS as readonly string[]).includes(part));
    const enough = at >= 0 && parts.length >= at + (folder ? 1 : 3);
    return enough ? [parts.slice(0, at).join('/')] : [];
  });
  return roots.reduce<string | undefined>(
    (best, root) => (best === undefined || root.length < best.length ? root : best),
    undefined,
  );
}

interface Found {
  split: Split;
  className: string;
  name: string;
  path: string;
  entry: number;
  sizeBytes: number;
}

function checkImage(location: string, path: string, parts: string[], entry: ContainerEntry): void {
  if (parts.length !== 3 || entry.folder) {
    throw new UserError(
      `${location}: ${path} lies ${parts.length < 3 ? 'outside of a class folder' : 'too deep'}, expected ${parts[0]}/<class>/<image>: move or remove it`,
    );
  }
  if (!IMAGE_NAME.test(parts[2])) {
    throw new UserError(`${location}: ${path} is no .jpg, .jpeg or .png: convert or remove it`);
  }
  if (entry.sizeBytes > IMAGE_FILE_MAX_BYTES) {
    throw new UserError(
      `${location}: the image ${path} has ${entry.sizeBytes} bytes, at most ${IMAGE_FILE_MAX_BYTES} are accepted: make it smaller`,
    );
  }
}

function checkClasses(location: string, names: Record<Split, Set<string>>): string[] {
  const shown = (list: string[]) => list.slice(0, 5).join(', ') + (list.length > 5 ? ', …' : '');
  for (const split of SPLITS) {
    if (names[split].size > 0) continue;
    throw new UserError(
      `${location} has no ${split} split, expected images in ${split}/<class>/: add the folder ${split}`,
    );
  }
  const onlyTrain = [...names.train].filter((name) => !names.test.has(name)).sort(compare);
  const onlyTest = [...names.test].filter((name) => !names.train.has(name)).sort(compare);
  if (onlyTrain.length + onlyTest.length > 0) {
    const parts = [
      onlyTrain.length > 0 ? `only train has ${shown(onlyTrain)}` : '',
      onlyTest.length > 0 ? `only test has ${shown(onlyTest)}` : '',
    ];
    throw new UserError(
      `${location}: train and test differ in their classes (${parts.filter(Boolean).join('; ')}), expected the same: add or remove folders`,
    );
  }
  const classes = [...names.train].sort(compare);
  if (classes.length < 2 || classes.length > CLASSES_MAX) {
    throw new UserError(
      `${location} has ${classes.length} class (${shown(classes)}), expected 2 to ${CLASSES_MAX}: add folders train/<class> and test/<class>`,
    );
  }
  return classes;
}

/**
 * Sorts the entries of a container into classes and splits.
 * @throws UserError for a missing split, class sets that differ, an empty class, or a file that is no image
 */
export function readImageTree(location: string, entries: readonly ContainerEntry[]): ImageTree {
  const root = treeRoot(entries) ?? '';
  const names: Record<Split, Set<string>> = { train: new Set(), test: new Set() };
  const found: Found[] = [];
  for (const [entry, each] of entries.entries()) {
    if (root !== '' && !each.path.startsWith(`${root}/`)) continue;
    const parts = (root === '' ? each.path : each.path.slice(root.length + 1)).split('/');
    const split = SPLITS.find((name) => name === parts[0]);
    if (!split || (each.folder && parts.length === 1)) continue;
    if (parts.length > 1 && (each.folder || parts.length > 2)) names[split].add(parts[1]);
    if (each.folder && parts.length === 2) continue;
    checkImage(location, each.path, parts, each);
    found.push({
      split,
      className: parts[1],
      name: parts[2],
      path: each.path,
      entry,
      sizeBytes: each.sizeBytes,
    });
  }
  const classes = checkClasses(location, names);
  const filled = new Set(found.map(({ split, className }) => `${split}/${className}`));
  for (const split of SPLITS) {
    const empty = classes.find((name) => !filled.has(`${split}/${name}`));
    if (empty === undefined) continue;
    throw new UserError(
      `${location}: the class ${empty} has no images in ${split}/${empty}, expected one at least: add some or remove the class`,
    );
  }
  const labels = new Map(classes.map((name, label) => [name, label]));
  const order = found
    .map((_, i) => i)
    .sort((i, j) => {
      const a = found[i];
      const b = found[j];
      return compare(b.split, a.split) || compare(a.className, b.className) || compare(a.name, b.name);
    });
  const indexOf = new Uint32Array(found.length);
  order.forEach((position, index) => {
    indexOf[position] = index;
  });
  const train = found.filter(({ split }) => split === 'train').length;
  return {
    classes,
    splits: { train, test: found.length - train },
    images: found.map(({ path, entry, sizeBytes, className }, i) => ({
      path,
      entry,
      sizeBytes,
      label: labels.get(className) as number,
      index: indexOf[i],
    })),
  };
}
