// A real etcd: started on free ports with a folder of its own, stopped and started again on the same data.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Etcd3 } from 'etcd3';
import { etcdClient } from '../../shared/client/etcd-keepers.js';
import { signal } from './processes.js';

const BINARY = 'etcd';
const READY_MS = 60_000;
const ASK_AGAIN_MS = 50;

/** Why there is no etcd here; empty where there is one. */
export function etcdMissing(): string {
  const { error, status } = spawnSync(BINARY, ['--version'], { stdio: 'ignore' });
  return error || status !== 0 ? `the binary ${BINARY} is missing (apt-get install etcd-server)` : '';
}

export interface Etcd {
  /** HOST:PORT for clients. */
  readonly host: string;
  readonly client: Etcd3;
  /** Address of the keeper of a mesh; waits for one that is not `other`. */
  keeper(mesh: string, other?: string): Promise<string>;
  /** Takes the keeper's lease away from it. */
  revokeLease(mesh: string): Promise<void>;
  /** Kills it; what it had written stays. */
  stop(): Promise<void>;
  /** Starts it again on the same data and ports. */
  start(): Promise<void>;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Starts etcd, with its data in a folder, and waits until it answers. */
export async function openEtcd(folder: string): Promise<Etcd & { close(): Promise<void> }> {
  const [clients, peers] = await freePorts(2);
  const host = `127.0.0.1:${clients}`;
  const client = etcdClient([host]);
  let child: ChildProcess | undefined;
  const stop = async () => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('close', resolve));
    signal(running.pid as number, 'SIGKILL');
    await ended;
  };
  const start = async () => {
    child = spawn(
      BINARY,
      [
        `--data-dir=${join(folder, 'data')}`,
        `--listen-client-urls=http://${host}`,
        `--advertise-client-urls=http://${host}`,
        `--listen-peer-urls=http://127.0.0.1:${peers}`,
        `--initial-advertise-peer-urls=http://127.0.0.1:${peers}`,
        `--initial-cluster=default=http://127.0.0.1:${peers}`,
      ],
      { stdio: 'ignore' },
    );
    const since = Date.now();
    for (;;) {
      try {
        await client.get('ready').string();
        return;
      } catch (error) {
        if (Date.now() - since > READY_MS) throw error;
        await pause(ASK_AGAIN_MS);
      }
    }
  };
  await start();
  const key = (mesh: string) => `/gradloom/${mesh}/keeper`;
  return {
    ...{ host, client, stop, start },
    async close() {
      client.close();
      await stop();
    },
    async keeper(mesh, other) {
      const since = Date.now();
      for (;;) {
        const address = await client.get(key(mesh)).string();
        if (address && address !== other) return address;
        if (Date.now() - since > READY_MS)
          throw new Error(`no other keeper than ${address} in ${READY_MS} ms`);
        await pause(ASK_AGAIN_MS);
      }
    },
    async revokeLease(mesh) {
      const { kvs } = await client.get(key(mesh)).exec();
      await client.leaseClient.leaseRevoke({ ID: kvs[0].lease });
    },
  };
}
