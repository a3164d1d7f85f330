// Why a call failed, in words for people: what gRPC wraps around the socket's own reason is left out.
import type * as grpc from '@grpc/grpc-js';
import { sentence } from '../errors.js';

/** As grpc-js words it where no address of a target could be connected to. */
const UNCONNECTED = /^No connection established\. Last error: (?:Error: )?(.+?)\. Resolution note: .*$/s;

/** The reason that a call's error gives, without a full stop. */
export function reasonOf(error: Pick<grpc.ServiceError, 'details' | 'message'>): string {
  const details = error.details || sentence(error);
  return UNCONNECTED.exec(details)?.[1] ?? details;
}
