// Which view a client is under, and which one comes next. While one is being made the client goes no further than to
// the end of its step; a view that takes a step back holds at once, and what a server said before it had told that view
// belongs to the step that was taken back.
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import { specUnder } from '../run/rules.js';
import type { RunSpec } from '../run/spec.js';
import type { ExchangeOptions } from './exchange-options.js';

export class ViewChanges {
  readonly #options: ExchangeOptions;
  #number: number;
  #spec: RunSpec;
  /** The view that is decided and not yet in force. */
  #next: View__Output | undefined;
  /** The last view that took a step back, and of each server the last view that it has told. */
  #withdrawn = 0;
  readonly #told: number[] = [];
  /** There while a view is being made. */
  #held: { readonly decided: Promise<void>; readonly release: () => void } | undefined;

  constructor(options: ExchangeOptions) {
    const { view, spec } = options;
    this.#options = options;
    this.#number = view.number;
    this.#spec = specUnder(spec, view);
  }

  /** Of the view in force. */
  get number(): number {
    return this.#number;
  }

  /** The run's spec as it stands under the view in force. */
  get spec(): RunSpec {
    return this.#spec;
  }

  /** Settles when no view is being made; undefined: none is. */
  get decided(): Promise<void> | undefined {
    return this.#held?.decided;
  }

  /** Goes no further than to the end of the step under way before a view is told. */
  hold(): void {
    if (this.#held) return;
    let release = () => {};
    const decided = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#held = { decided, release };
  }

  /** Nothing more comes: whoever waits for a view waits no longer. */
  release(): void {
    this.#held?.release();
  }

  /**
   * What was held goes on. The view that is decided holds from its step; or at once, if somebody has left in the step
   * that is under way, or was about to begin it.
   * @returns whether that step is taken back
   */
  change(view: View__Output, step: number): boolean {
    const isNew = view.number > this.#number;
    const withdraws = isNew && Boolean(view.departed) && view.fromStep <= step;
    if (withdraws) {
      this.#withdrawn = view.number;
      // One that would have held from the step after does not any more.
      this.#next = undefined;
      this.#adopt(view);
    } else if (isNew) this.#next = view;
    this.#held?.release();
    this.#held = undefined;
    return withdraws;
  }

  /** The view that holds from this step and is not yet in force. */
  dueAt(step: number): View__Output | undefined {
    return this.#next?.fromStep === step ? this.#next : undefined;
  }

  /** The view that was due is in force. */
  enter(view: View__Output): void {
    this.#next = undefined;
    this.#adopt(view);
  }

  /** A server says that what follows is under this view. */
  tell(server: number, number: number): void {
    this.#told[server] = number;
  }

  /** Whether what a server says belongs to a step that was taken back. */
  isWithdrawn(server: number): boolean {
    return (this.#told[server] ?? 0) < this.#withdrawn;
  }

  #adopt(view: View__Output): void {
    this.#number = view.number;
    this.#spec = specUnder(this.#spec, view);
    this.#options.onView?.(view, this.#spec);
  }
}
