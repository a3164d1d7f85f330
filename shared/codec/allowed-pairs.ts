// Which codecs go with which optimizers and consistencies, and why the others are refused. One table: options,
// run specs and the README all follow it.
import type { OptimizerSpec } from '../optimizer/spec.js';
import type { CodecName, LossyCodecName } from './codec.js';

/** What a lossy codec can be combined with; the codecs that round each element by itself go with everything. */
interface Allowed {
  /** undefined: all. */
  readonly optimizers: readonly string[] | undefined;
  readonly consistencies: readonly string[];
  /** Why other optimizers are refused. */
  readonly optimizerReason: string;
}

/** Updates that are linear in the gradient: what an earlier step left out arrives later with the same effect. */
const LINEAR = ['sgd', 'momentum'] as const;

/** Why lossy codecs are refused with other consistencies than theirs. */
const CONSISTENCY_REASON =
  'new parameters travel as differences, which every worker must receive once and in order';
/** Why `local` is refused, where all workers do receive every version. */
const LOCAL_REASON =
  'under local the parameters that differences are added to have moved on in between, and what is left out comes a whole round later';

/** Why lossy codecs are refused with backup workers. */
const BACKUP_REASON =
  'a worker that steps go on without would have to be sent the differences of all of them, however far it is behind';

const ALLOWED: Readonly<Record<LossyCodecName, Allowed>> = {
  int8: { optimizers: undefined, consistencies: ['bsp'], optimizerReason: '' },
  topk: {
    optimizers: LINEAR,
    consistencies: ['bsp'],
    optimizerReason:
      'an element that is sent once in a hundred steps brings a hundred gradients at once, whose square misleads a second moment',
  },
  sign: {
    optimizers: LINEAR,
    consistencies: ['bsp'],
    optimizerReason:
      'all elements of a block have one magnitude, of which a second moment learns nothing (Tang et al., "1-bit Adam", ICML 2021)',
  },
};

/**
 * Why a codec cannot be combined with an optimizer and a consistency, as a sentence that says what to do; undefined
 * if it can.
 */
export function pairFault(codec: CodecName, optimizer: string, consistency: string): string | undefined {
  if (!Object.hasOwn(ALLOWED, codec)) return undefined;
  const { optimizers, consistencies, optimizerReason } = ALLOWED[codec as LossyCodecName];
  if (optimizers && !optimizers.includes(optimizer))
    return `codec ${codec} expects optimizer ${optimizers.join(' or ')}, got ${optimizer}: ${optimizerReason}; take one of them, or another codec`;
  if (!consistencies.includes(consistency))
    return `codec ${codec} expects consistency ${consistencies.join(' or ')}, got ${consistency}: ${consistency === 'local' ? LOCAL_REASON : CONSISTENCY_REASON}; take it, or another codec`;
  return undefined;
}

/** Why a codec cannot be combined with backup workers, as a sentence that says what to do; undefined if it can. */
export function backupCodecFault(codec: CodecName): string | undefined {
  if (!Object.hasOwn(ALLOWED, codec)) return undefined;
  return `codec ${codec} expects no backup workers: new parameters travel as differences, and ${BACKUP_REASON}; leave them out, or take fp32, fp16 or bf16`;
}

/**
 * The same of the whole optimizer, as a run has it: also what would not be linear in the gradient, or not in the place
 * where its momentum is.
 */
export function codecFault(
  codec: CodecName,
  optimizer: OptimizerSpec,
  consistency: string,
): string | undefined {
  const pair = pairFault(codec, optimizer.kind, consistency);
  if (pair || (codec !== 'topk' && codec !== 'sign')) return pair;
  if (optimizer.clipValue !== undefined)
    return `codec ${codec} expects no clipping by value, got ${optimizer.clipValue}: what was left out comes later, all at once, and would be cut; leave it out, or take another codec`;
  if (optimizer.clipNorm !== undefined)
    return `codec ${codec} expects no clipping by norm, got ${optimizer.clipNorm}: what arrives in a step is not its gradient, but parts of many, and has another norm; leave it out, or take another codec`;
  if (codec !== 'topk' || optimizer.kind !== 'momentum') return undefined;
  if (optimizer.nesterov)
    return 'codec topk expects momentum without Nesterov, which it would apply twice; switch nesterov off, or take another codec';
  const { l1 = 0, l2 = 0, groups = [] } = optimizer;
  if ([{ l1, l2 }, ...groups].some((rule) => (rule.l1 ?? 0) > 0 || (rule.l2 ?? 0) > 0))
    return 'codec topk expects momentum without l1 and l2, whose slopes are added on the servers, behind the momentum of the workers; take sgd, or another codec';
  return undefined;
}

/** The table as the README shows it: rows of cells, the first of which holds the headings. */
export function pairTable(codecs: readonly CodecName[]): string[][] {
  const rows = codecs.map((codec) => {
    if (!Object.hasOwn(ALLOWED, codec)) return [`\`${codec}\``, 'all', 'all', 'with `bsp`', ''];
    const { optimizers, consistencies, optimizerReason } = ALLOWED[codec as LossyCodecName];
    const names = (list: readonly string[]) => list.map((name) => `\`${name}\``).join(', ');
    const reasons = [
      optimizerReason,
      CONSISTENCY_REASON,
      consistencies.includes('local') ? '' : LOCAL_REASON,
      BACKUP_REASON,
    ].filter((reason) => reason !== '');
    const kinds = optimizers ? names(optimizers) : 'all';
    return [`\`${codec}\``, kinds, names(consistencies), 'none', reasons.join('; ')];
  });
  return [['codec', 'optimizers', 'consistencies', 'backup workers', 'why not the others'], ...rows];
}
