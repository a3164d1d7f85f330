// A participant's stream to the keeper, whoever that is. Where another keeper follows one that is gone (keepers.ts), the
// stream is opened anew to that one, and begins with a hello that says who comes back. What is written while there is
// none is dropped: who comes back says again what still matters.
import type * as grpc from '@grpc/grpc-js';
import { sentence } from '../errors.js';
import { ETCD_RETRY_MS } from '../limits.js';
import { reasonOf } from '../rpc/reason.js';
import type { RefusalMessage } from '../rpc/refusal.js';
import { RefusalCode } from '../rpc/refusal.js';
import type { Keepers } from './keepers.js';

type Call<R, O> = Pick<grpc.ClientDuplexStream<R, O>, 'write' | 'end' | 'cancel'> & NodeJS.EventEmitter;

export interface KeeperStreamOptions<R, O> {
  keepers: Keepers;
  open(address: string): { call: Call<R, O>; close(): void };
  /** The first report of each stream. */
  hello(): R;
  onOrder(order: O): void;
  /** The first order of a stream that is not the first one has come. */
  onBack?(): void;
  /** The stream broke, or could not be opened; another keeper may follow. */
  onBroken?(address: string): void;
  /** There is no keeper, and none has followed in time: once. */
  onGone(reason: string): void;
  /** How long a keeper that answers is looked for after the last one. */
  deadlineMs: number;
}

export class KeeperStream<R, O extends { refusal?: RefusalMessage | null }> {
  readonly #options: KeeperStreamOptions<R, O>;
  readonly #stopListening: () => void;
  #current: { address: string; call: Call<R, O>; close(): void; answered: boolean } | undefined;
  #isOver = false;
  /** Since when there has been no keeper that answers (ms); undefined while there is one. */
  #lostAt: number | undefined = Date.now();
  #hasAnswered = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeeperStreamOptions<R, O>) {
    this.#options = options;
    this.#stopListening = options.keepers.onChange((address) => {
      if (address && this.#current && address !== this.#current.address)
        this.#again('another keeper follows');
    });
    this.#connect();
  }

  /** Dropped where there is no keeper at the moment, or it is over. */
  write(report: R): void {
    if (this.#current?.answered) this.#current.call.write(report);
  }

  /** Leaves. */
  close(): void {
    if (this.#isOver) return;
    this.#current?.call.end();
    this.#finish();
  }

  #finish(): void {
    const current = this.#current;
    this.#isOver = true;
    this.#current = undefined;
    clearTimeout(this.#timer);
    this.#stopListening();
    current?.close();
  }

  #connect(): void {
    const found = this.#options.keepers.find();
    if (typeof found === 'string') this.#open(found);
    else
      found.then(
        (address) => void (this.#isOver || this.#open(address)),
        (error) => this.#gone(sentence(error)),
      );
  }

  #open(address: string): void {
    const { hello, open, onOrder, onBack, keepers } = this.#options;
    const current = { address, ...open(address), answered: false };
    const { call } = current;
    this.#current = current;
    const isCurrent = () => this.#current === current;
    call.on('data', (order: O) => {
      if (!isCurrent()) return;
      if (!current.answered) {
        // It has the key, and not yet the state; or it has just lost it.
        if (keepers.follow && order.refusal?.code === RefusalCode.REFUSAL_CODE_NOT_NOW)
          return this.#again(order.refusal.sentence);
        current.answered = true;
        this.#lostAt = undefined;
        onOrder(order);
        if (this.#hasAnswered) onBack?.();
        this.#hasAnswered = true;
        return;
      }
      onOrder(order);
    });
    call.on('error', (error: grpc.ServiceError) => {
      if (isCurrent()) this.#lost(address, reasonOf(error));
    });
    call.on('end', () => {
      if (isCurrent()) this.#lost(address, 'it ended the stream');
    });
    call.write(hello());
  }

  #lost(address: string, reason: string): void {
    if (!this.#options.keepers.follow) return this.#gone(reason);
    this.#options.onBroken?.(address);
    this.#again(reason);
  }

  #again(reason: string): void {
    const { deadlineMs } = this.#options;
    const current = this.#current;
    this.#current = undefined;
    current?.call.cancel();
    current?.close();
    this.#lostAt ??= Date.now();
    if (Date.now() - this.#lostAt > deadlineMs)
      return this.#gone(`${reason}, and no keeper has answered for ${deadlineMs / 1000} s`);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), ETCD_RETRY_MS);
  }

  #gone(reason: string): void {
    if (this.#isOver) return;
    this.#finish();
    this.#options.onGone(reason);
  }
}
