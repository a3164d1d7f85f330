// A refusal: what a peer asked for cannot be done, with a code for programs and a sentence for people.
// It is an answer, not a crash: the node that refuses lives on.
import { EXIT, RunError } from '../errors.js';
import { RefusalCode, type RefusalCode__Output } from './generated/gradloom/v1/RefusalCode.js';

export { RefusalCode };

type Short<T> = T extends `REFUSAL_CODE_${infer Name}` ? Name : never;
/** Names of the codes without their prefix. */
export type RefusalCodeName = Exclude<Short<keyof typeof RefusalCode>, 'UNSPECIFIED'>;

export interface RefusalMessage {
  code: RefusalCode__Output;
  sentence: string;
}

const nameOf = new Map<number, string>(Object.entries(RefusalCode).map(([name, code]) => [code, name]));

/** The short name of a code, as it stands in metrics: `checksum`, `stale_view`, … */
export function refusalLabel(code: number): string {
  return (nameOf.get(code) ?? 'unknown').replace('REFUSAL_CODE_', '').toLowerCase();
}

/** What is refused because somebody was started with other options, another job, or too little memory. */
const MISTAKES = new Set<number>([
  RefusalCode.REFUSAL_CODE_PROTOCOL_VERSION,
  RefusalCode.REFUSAL_CODE_SCHEMA,
  RefusalCode.REFUSAL_CODE_RUN_SPEC,
  RefusalCode.REFUSAL_CODE_MEMORY,
]);

/** Thrown by whoever refuses, and by whoever was refused. */
export class Refused extends RunError {
  override readonly exitStatus: number;

  constructor(
    readonly code: number,
    readonly sentence: string,
    /** Who refused, where that is somebody else. */
    by?: string,
  ) {
    super(by ? `${by} refused: ${sentence}` : sentence);
    this.exitStatus = MISTAKES.has(code) ? EXIT.mistake : EXIT.failed;
  }

  get label(): string {
    return refusalLabel(this.code);
  }

  toMessage(): RefusalMessage {
    return { code: this.code as RefusalCode__Output, sentence: this.sentence };
  }
}

/** Shorthand for `new Refused(RefusalCode[…], sentence)`. */
export function refuse(name: RefusalCodeName, sentence: string): Refused {
  return new Refused(RefusalCode[`REFUSAL_CODE_${name}`], sentence);
}
