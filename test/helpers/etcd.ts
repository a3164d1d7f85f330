// A real etcd for tests. Without the binary (Debian: apt-get install etcd-server) such tests are skipped with that reason
// in their title; where CI is set they fail instead, so that they cannot go missing unseen.
import test, { type ExecutionContext, type Implementation } from 'ava';
import { type Etcd, etcdMissing, openEtcd } from './etcd-process.js';
import { temporaryFolder } from './folder.js';

/** Declares a test that needs etcd, one after another: run where it is there, else skipped visibly, or failed in CI. */
export function etcdTest(title: string, implementation: Implementation<[]>): void {
  const missing = etcdMissing();
  if (!missing) test.serial(title, implementation);
  else if (process.env.CI) test(title, (t: ExecutionContext) => t.fail(missing));
  else test.skip(`${title} [skipped: ${missing}]`, implementation);
}

/** Starts etcd for a test; it is killed when that has ended. */
export async function startEtcd(t: ExecutionContext): Promise<Etcd> {
  const etcd = await openEtcd(await temporaryFolder(t));
  t.teardown(etcd.close);
  return etcd;
}
