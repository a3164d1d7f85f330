// Where a mesh is found, as one text: HOST:PORT of its keeper, for good; or etcd://HOST:PORT,…/MESH, where a key names the
// keeper of the moment. Written from options, read where a node begins to look for its keeper (client/keepers.ts).
import { MESH_NAME_CHARACTERS_MAX } from '../limits.js';
import { type Address, formatAddress, parseAddress } from './address.js';

const ETCD = 'etcd://';
const MESH_NAME = /^[A-Za-z0-9._-]+$/;

/** Whether a name can be a mesh's: it is a part of keys in etcd. */
export function isMeshName(name: string): boolean {
  return MESH_NAME.test(name) && name.length <= MESH_NAME_CHARACTERS_MAX;
}

/** The place of a mesh that is found through etcd. */
export function etcdPlace(hosts: readonly Address[], mesh: string): string {
  return `${ETCD}${hosts.map(formatAddress).join(',')}/${mesh}`;
}

/** Reads a place. Throws an Error with a clause that says what is wrong, fit to stand after "expected HOST:PORT: ". */
export function parsePlace(place: string): { address: string } | { hosts: string[]; mesh: string } {
  if (!place.startsWith(ETCD)) return { address: formatAddress(parseAddress(place)) };
  const [list, mesh = '', ...rest] = place.slice(ETCD.length).split('/');
  if (rest.length > 0 || !isMeshName(mesh))
    throw new Error('etcd://HOST:PORT ends with / and the name of the mesh');
  return { hosts: list.split(',').map((host) => formatAddress(parseAddress(host))), mesh };
}

/** A place as it is written elsewhere, in the one form that all use. Throws as `parsePlace`. */
export function normalPlace(place: string): string {
  const parsed = parsePlace(place);
  return 'address' in parsed ? parsed.address : `${ETCD}${parsed.hosts.join(',')}/${parsed.mesh}`;
}

/** Whether the mesh is found in etcd, so that it outlives its keeper. */
export function isInEtcd(place: string): boolean {
  return place.startsWith(ETCD);
}
