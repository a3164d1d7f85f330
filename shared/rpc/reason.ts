// Why a call failed, in words for people: what gRPC wraps around the socket's own reason is left out.
import type * as grpc from '@grpc/grpc-js';
import { sentence } from '../errors.js';

/** As grpc-js words it where no address of a target could be connected to; etcd3 puts the status before it. */
const UNCONNECTED =
  /(?:^|: )No connection established\. Last error: (?:Error: )?(.+?)\. Resolution note: .*$/s;

/** The reason that a call's error gives. */
export function reasonOf(error: unknown): string {
  const text = (error as Partial<grpc.ServiceError> | undefined)?.details || sentence(error);
  return UNCONNECTED.exec(text)?.[1] ?? text;
}
