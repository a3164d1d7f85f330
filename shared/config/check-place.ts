// Where a process listens and with whom it talks: what of it is refused, and the addresses that follow from the options.
// Each check throws UserError, and is handed `at`, which says where an option was given.
import { UserError } from '../errors.js';
import { type Address, formatAddress, isLoopback, isWildcard } from './address.js';
import { MESH_DEFAULT } from './options/mesh.js';
import { etcdPlace } from './place.js';

export function checkSecure(
  address: Address | undefined,
  allowed: boolean,
  name: string,
  verb: string,
): void {
  if (address === undefined || allowed || isLoopback(address.host)) return;
  throw new UserError(
    `${name}: ${verb} ${formatAddress(address)} would be neither encrypted nor authenticated; ` +
      'add --insecure if the network can be trusted, or use 127.0.0.1',
  );
}

interface Located {
  join: Address | undefined;
  etcd: Address[] | undefined;
  mesh: string | undefined;
}

/** Where the mesh is found: through its keeper or through etcd, not both. */
export function checkPlace(options: Located, at: (key: 'join' | 'etcd' | 'mesh') => string): void {
  if (options.join && options.etcd)
    throw new UserError(
      `${at('etcd')}: expected --join or --etcd, got both; with --etcd the keeper is found there, so leave --join out`,
    );
  if (options.mesh !== undefined && !options.etcd)
    throw new UserError(
      `${at('mesh')}: expected --etcd with it, got it without; a mesh has a name only in etcd: add --etcd HOST:PORT, or leave it out`,
    );
}

export function checkPlaceSecure(
  options: Located & { insecure: boolean },
  at: (key: 'join' | 'etcd') => string,
): void {
  checkSecure(options.join, options.insecure, at('join'), 'a connection to');
  for (const host of options.etcd ?? []) checkSecure(host, options.insecure, at('etcd'), 'a connection to');
}

/** The place of the mesh as place.ts has it; undefined where none is given. */
export function placeOf({ join, etcd, mesh = MESH_DEFAULT }: Located): string | undefined {
  return etcd ? etcdPlace(etcd, mesh) : join && formatAddress(join);
}

interface Listening {
  listen: Address;
  advertise: Address | undefined;
  join: Address | undefined;
  insecure: boolean;
}

export function checkListening(options: Listening, at: (key: 'listen' | 'join') => string): void {
  checkSecure(options.listen, options.insecure, at('listen'), 'listening on');
  if (isWildcard(options.listen.host) && options.advertise === undefined) {
    throw new UserError(
      `${at('listen')}: ${formatAddress(options.listen)} is every address of this machine; ` +
        'say with --advertise HOST:PORT which one others shall use',
    );
  }
  const own = options.advertise ?? options.listen;
  if (options.join && formatAddress(options.join) === formatAddress(own)) {
    throw new UserError(
      `${at('join')}: expected another server, got this one's own address ${formatAddress(own)}; ` +
        'leave --join out for the first server',
    );
  }
}

/** Where a process serves its metrics: as asked, else on a free port of the host it listens on, else of loopback. */
export function metricsAddress(options: { metrics: Address | undefined; listen?: Address }): Address {
  return options.metrics ?? { host: options.listen?.host ?? '127.0.0.1', port: 0 };
}
