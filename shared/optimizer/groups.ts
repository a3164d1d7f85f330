// Groups of tensors with rules of their own: learning rate, decay, regularization, or none of it (frozen). A
// group says by a glob which tensors it takes (`*` any characters, `?` one), the first that matches wins.
// Globs and not regular expressions: they come from the network, and must not be able to keep a server busy.
import type { TensorSpec } from '../blocks/manifest.js';
import { GROUPS_MAX, NAME_CHARACTERS_MAX } from '../limits.js';
import { decaysWeights, type OptimizerSpec } from './spec.js';

export interface ParameterGroup {
  /** A glob on the whole name of a tensor. */
  readonly match: string;
  /** Factor of the learning rate, above 0. */
  readonly learningRateScale?: number;
  /** In place of the optimizer's: 0 turns it off. */
  readonly weightDecay?: number;
  readonly l1?: number;
  readonly l2?: number;
  /** The tensors keep their initial values: they are neither exchanged nor updated. */
  readonly frozen?: boolean;
}

/** What holds for one tensor. */
export interface TensorRule {
  readonly learningRateScale: number;
  readonly weightDecay: number;
  readonly l1: number;
  readonly l2: number;
}

/** Whether a glob matches a whole name; at most the product of their lengths in comparisons. */
export function globMatches(glob: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resumed = 0;
  for (let i = 0; i < name.length; ) {
    if (glob[at] === '*') {
      star = at++;
      resumed = i;
    } else if (at < glob.length && (glob[at] === '?' || glob[at] === name[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resumed;
    } else return false;
  }
  while (glob[at] === '*') at++;
  return at === glob.length;
}

const groupOf = (groups: readonly ParameterGroup[] | undefined, name: string) =>
  groups?.find(({ match }) => globMatches(match, name));

/** The rule of a tensor: its group's where that says something, else the optimizer's. */
export function ruleOf(optimizer: OptimizerSpec, name: string): TensorRule {
  const group = groupOf(optimizer.groups, name);
  return {
    learningRateScale: group?.learningRateScale ?? 1,
    weightDecay: group?.weightDecay ?? ('weightDecay' in optimizer ? optimizer.weightDecay : 0),
    l1: group?.l1 ?? optimizer.l1 ?? 0,
    l2: group?.l2 ?? optimizer.l2 ?? 0,
  };
}

/** The tensors, those of frozen groups marked as frozen. */
export function freezeGroups<T extends TensorSpec>(
  tensors: readonly T[],
  groups: readonly ParameterGroup[] | undefined,
): T[] {
  return tensors.map((tensor) =>
    tensor.kind === 'trainable' && groupOf(groups, tensor.name)?.frozen
      ? { ...tensor, kind: 'frozen' }
      : tensor,
  );
}

/** What is wrong with one group by itself. */
function groupFault(group: ParameterGroup, optimizer: OptimizerSpec): string | undefined {
  const { match, learningRateScale, weightDecay, l1, l2, frozen } = group;
  if (typeof match !== 'string' || match.length < 1 || match.length > NAME_CHARACTERS_MAX)
    return `expected a pattern of 1 to ${NAME_CHARACTERS_MAX} characters`;
  const rules = [learningRateScale, weightDecay, l1, l2].filter((value) => value !== undefined);
  if (frozen && rules.length > 0) return 'expected no other rule beside frozen, got some';
  if (!frozen && rules.length === 0)
    return 'expected at least one of learningRateScale, weightDecay, l1, l2 and frozen, got none';
  if (learningRateScale !== undefined && !(learningRateScale > 0 && Number.isFinite(learningRateScale)))
    return `expected a learningRateScale above 0 (frozen keeps tensors as they are), got ${learningRateScale}`;
  if (weightDecay !== undefined && !decaysWeights(optimizer.kind))
    return `expected the optimizer adamw, lion or lamb for a weightDecay, got ${optimizer.kind}; give l2 in its place`;
  for (const [name, value] of Object.entries({ weightDecay, l1, l2 }))
    if (value !== undefined && !(value >= 0 && Number.isFinite(value)))
      return `expected ${name} of 0 or more, got ${value}`;
  return undefined;
}

/**
 * What is wrong with the groups of an optimizer over the model's tensors (those of frozen groups being marked,
 * see `freezeGroups`): contradictions, and groups that take no tensor. Undefined if nothing is.
 */
export function groupsFault(optimizer: OptimizerSpec, tensors: readonly TensorSpec[]): string | undefined {
  const groups = optimizer.groups ?? [];
  if (groups.length > GROUPS_MAX) return `expected at most ${GROUPS_MAX} groups, got ${groups.length}`;
  for (const [index, group] of groups.entries()) {
    const where = `group ${index + 1} ('${group.match}')`;
    const fault = groupFault(group, optimizer);
    if (fault) return `${where}: ${fault}`;
    const taken = tensors.filter(({ name }) => groupOf(groups, name) === group);
    const unfrozen = taken.find(({ kind }) => group.frozen && kind === 'trainable');
    if (unfrozen) return `${where}: expected its tensor '${unfrozen.name}' to be frozen, it is trainable`;
    if (taken.some(({ kind }) => kind === (group.frozen ? 'frozen' : 'trainable'))) continue;
    const names = tensors.filter(({ kind }) => kind === 'trainable').map(({ name }) => `'${name}'`);
    return `${where}: expected to take a tensor that is trained and that no group before it takes, takes none of ${names.slice(0, 6).join(', ')}${names.length > 6 ? ', …' : ''}`;
  }
  return undefined;
}
