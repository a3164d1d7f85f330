// Who keeps a mesh, and where: a keeper for good, or, in etcd, the keeper of the moment, whom another follows when it is
// gone (etcd-keepers.ts). A place is what shared/config/place.ts says.
import { parsePlace } from '../config/place.js';

export interface Keepers {
  /** For messages: who the keeper is, or where it is looked for. */
  readonly name: string;
  /** Where it is looked for: an address, or etcd's. */
  readonly where: string;
  /** Whether another keeper follows one that is gone. */
  readonly follow: boolean;
  /** The address of the keeper; where there is none yet, in time. Throws RunError where none has come. */
  find(): string | Promise<string>;
  /** Calls whenever the keeper is another than before, with its address. Returns what ends it. */
  onChange(listener: (address: string) => void): () => void;
  close(): void;
}

/** One keeper for good: when it is gone, so is the mesh. */
export function oneKeeper(address: string): Keepers {
  return {
    name: `the keeper at ${address}`,
    where: address,
    follow: false,
    find: () => address,
    onChange: () => () => undefined,
    close: () => undefined,
  };
}

/** What finds the keeper of a mesh. Throws RunError where etcd cannot be reached. */
export async function openKeepers(place: string, deadlineMs: number): Promise<Keepers> {
  const parsed = parsePlace(place);
  if ('address' in parsed) return oneKeeper(parsed.address);
  // Whoever does without etcd does without its client.
  const { EtcdKeepers } = await import('./etcd-keepers.js');
  return EtcdKeepers.open(parsed.hosts, parsed.mesh, deadlineMs);
}

/** The address of the keeper at this moment, for a single question to it. Throws RunError. */
export async function keeperOf(place: string, deadlineMs: number): Promise<string> {
  const keepers = await openKeepers(place, deadlineMs);
  try {
    return await keepers.find();
  } finally {
    keepers.close();
  }
}
