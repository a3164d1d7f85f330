// Whether a process is no more: its host says that nobody listens where it listened. A process that is stopped, and a host
// that is cut off, say nothing, and may come back.
import { connect } from 'node:net';
import { parseAddress } from '../../shared/config/address.js';
import { ETCD_CALL_MS } from '../../shared/limits.js';

/** @param address HOST:PORT of a server */
export function isNobodyThere(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(parseAddress(address));
    const done = (isGone: boolean) => {
      socket.destroy();
      resolve(isGone);
    };
    socket.setTimeout(ETCD_CALL_MS, () => done(false));
    socket.on('connect', () => done(false));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => done(code === 'ECONNREFUSED'));
  });
}
