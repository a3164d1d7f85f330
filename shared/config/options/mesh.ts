// Options of a mesh: who listens where, how its nodes find each other, how many there are and what each may use.
import { z } from 'zod';
import {
  ETCD_HOSTS_MAX,
  MESH_NAME_CHARACTERS_MAX,
  PEER_DEADLINE_MAX_SECONDS,
  REPLICAS_MAX,
  SERVERS_MAX,
  SHARD_MEMORY_MAX_BYTES,
  WORKERS_MAX,
} from '../../limits.js';
import { isMeshName } from '../place.js';
import { address, addresses, defaulting, onOff, optional, whole } from './kinds.js';

/** Name of the mesh in etcd where none is given. */
export const MESH_DEFAULT = 'default';

const MiB = 1024 * 1024;
const MEMORY_MAX_MIB = Math.ceil(SHARD_MEMORY_MAX_BYTES / MiB);

export const MESH_OPTIONS = {
  listen: defaulting(
    address({ flag: 'listen', help: 'where to listen; port 0 picks a free one' }, 0, '0.0.0.0:50051'),
    '127.0.0.1:50051',
  ),
  advertise: optional(
    address(
      { flag: 'advertise', help: 'how others reach this server', fallback: 'where it listens' },
      1,
      '10.0.0.1:50051',
    ),
  ),
  join: optional(
    address(
      { flag: 'join', help: 'a server of the mesh to join', fallback: 'a new mesh' },
      1,
      '10.0.0.1:50051',
    ),
  ),
  etcd: optional(
    addresses(
      {
        flag: 'etcd',
        help: 'servers of etcd in which the mesh is found and kept',
        fallback: 'the mesh is kept by its first server',
      },
      ETCD_HOSTS_MAX,
      '10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379',
    ),
  ),
  mesh: optional({
    flag: 'mesh',
    placeholder: 'NAME',
    help: 'name of the mesh in etcd',
    fallback: MESH_DEFAULT,
    kind: 'string',
    schema: z.string().refine(isMeshName),
    expected: `letters, digits, dots, underscores and dashes, at most ${MESH_NAME_CHARACTERS_MAX}`,
    example: 'nightly',
  }),
  metrics: optional(
    address(
      {
        flag: 'metrics',
        help: 'where Prometheus finds /metrics and /healthz',
        fallback: 'a free port beside --listen, or on loopback',
      },
      0,
      '127.0.0.1:9464',
    ),
  ),
  memoryBytes: defaulting(
    {
      flag: 'memory',
      placeholder: 'MIB',
      help: 'memory for parameters and optimizer state, in MiB',
      kind: 'number',
      schema: z
        .int()
        .min(16)
        .max(MEMORY_MAX_MIB)
        .transform((mib) => Math.min(mib * MiB, SHARD_MEMORY_MAX_BYTES)),
      expected: `a whole number of MiB from 16 to ${MEMORY_MAX_MIB}`,
      example: 1024,
    },
    MEMORY_MAX_MIB,
  ),
  servers: defaulting(whole({ flag: 'servers', help: 'server processes to start' }, 1, SERVERS_MAX, 2), 2),
  workers: defaulting(whole({ flag: 'workers', help: 'workers that the run has' }, 1, WORKERS_MAX, 2), 2),
  peers: optional(
    whole(
      {
        flag: 'peers',
        help: 'processes that are server and worker both, instead of --servers and --workers',
        fallback: 'none',
      },
      1,
      SERVERS_MAX,
      4,
    ),
  ),
  serve: onOff({ flag: 'serve', help: 'be a server of the mesh too, which holds its part of the model' }),
  server: optional(
    whole(
      { flag: 'server', help: 'number of a server, as gradloom status has it', fallback: 'it is asked for' },
      0,
      2 ** 31,
      1,
    ),
  ),
  replicas: optional(
    whole(
      {
        flag: 'replicas',
        help: 'servers that hold each part of the model, so that one of them can die',
        fallback: '2 where there are 2 and the run allows it',
      },
      1,
      REPLICAS_MAX,
      1,
    ),
  ),
  peerDeadlineMs: defaulting(
    {
      flag: 'peer-deadline',
      placeholder: 'SECONDS',
      help: 'how long a silent peer is waited for',
      kind: 'number',
      schema: z
        .number()
        .min(1)
        .max(PEER_DEADLINE_MAX_SECONDS)
        .transform((seconds) => Math.round(seconds * 1000)),
      expected: `seconds from 1 to ${PEER_DEADLINE_MAX_SECONDS}`,
      example: 20,
    },
    20,
  ),
  insecure: onOff({ flag: 'insecure', help: 'talk to other machines without encryption' }),
};
