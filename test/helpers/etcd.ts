// A real etcd for tests: started on free ports with a folder of its own, stopped and started again on the same data.
// Without the binary (Debian: apt-get install etcd-server) such tests are skipped with that reason in their title;
// where CI is set they fail instead, so that they cannot go missing unseen.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext, type Implementation } from 'ava';
import type { Etcd3 } from 'etcd3';
import { etcdClient } from '../../shared/client/etcd-keepers.js';
import { temporaryFolder } from './folder.js';
import { signal } from './processes.js';

const BINARY = 'etcd';
const READY_MS = 60_000;
const ASK_AGAIN_MS = 50;

/** Declares a test that needs etcd, one after another: run where it is there, else skipped visibly, or failed in CI. */
export function etcdTest(title: string, implementation: Implementation<[]>): void {
  const { error, status } = spawnSync(BINARY, ['--version'], { stdio: 'ignore' });
  const missing =
    error || status !== 0 ? `the binary ${BINARY} is missing (apt-get install etcd-server)` : '';
  if (!missing) test.serial(title, implementation);
  else if (process.env.CI) test(title, (t: ExecutionContext) => t.fail(missing));
  else test.skip(`${title} [skipped: ${missing}]`, implementation);
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

/** Starts etcd and waits until it answers; it is killed when the test has ended. */
export async function startEtcd(t: ExecutionContext): Promise<Etcd> {
  const folder = await temporaryFolder(t);
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
  t.teardown(async () => {
    client.close();
    await stop();
  });
  await start();
  const key = (mesh: string) => `/gradloom/${mesh}/keeper`;
  return {
    ...{ host, client, stop, start },
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
