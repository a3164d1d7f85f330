// Links that are made again, on servers of the test's own: what is tried, in which order, and when it is given up. The
// clock is the test's.
import test from 'ava';
import { LinkRepair } from '../../../shared/client/link-repair.js';
import type { LinkHandlers, ServerLink } from '../../../shared/client/server-link.js';
import type { ServerLinks } from '../../../shared/client/server-links.js';
import { RunError } from '../../../shared/errors.js';
import { RefusalCode, Refused } from '../../../shared/rpc/refusal.js';

const DEADLINE_MS = 10_000;
/** What exchanges may take before it is told who is waited for. */
const EXCHANGE_DEADLINE_MS = 300;

interface Attempt {
  succeed(): Promise<void>;
  fail(error: RunError): Promise<void>;
  link: ServerLink & { closed: boolean };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

function repairing(look?: () => Promise<void>) {
  const attempts: Attempt[] = [];
  const seen: string[] = [];
  const placed: ServerLink[] = [];
  const failures: RunError[] = [];
  let nowMs = 0;
  const handlers = new Proxy({} as LinkHandlers, {
    get: (_, name) => () => void seen.push(String(name)),
  });
  const links = {
    all: [],
    hasFailed: false,
    replace: (_shard: number, link: ServerLink) => void placed.push(link),
    connect: () =>
      new Promise<ServerLink>((resolve, reject) => {
        const link = { closed: false } as Attempt['link'];
        link.close = () => {
          link.closed = true;
        };
        attempts.push({
          link,
          succeed() {
            resolve(link);
            return settled();
          },
          fail(error) {
            reject(error);
            return settled();
          },
        });
      }),
  };
  const repair = new LinkRepair({
    links: links as unknown as ServerLinks,
    peerDeadlineMs: DEADLINE_MS,
    handlersOf: () => handlers,
    view: () => 1,
    subscribe: () => Promise.resolve(),
    resume: () => void seen.push('resumed'),
    ...(look && { look }),
    onWaiting: (_, seconds) => void seen.push(`waits ${seconds}`),
    deadlineMs: () => EXCHANGE_DEADLINE_MS,
    doing: () => 'was in the exchange of step 3',
    fail: (error) => void failures.push(error),
    now: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      return Promise.resolve();
    },
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { repair, attempts, seen, placed, failures, pass };
}

test('a lost link is made again, and what was under way goes on', async (t) => {
  const { repair, attempts, seen, placed } = repairing();
  repair.lost(0, new RunError('it broke'));
  t.true(repair.isRepairing(0));
  await attempts[0].fail(new RunError('nobody there'));
  await attempts[1].succeed();
  t.deepEqual(placed, [attempts[1].link]);
  t.deepEqual(seen, ['resumed']);
  t.false(repair.isRepairing(0));
});

test('an attempt at a server that stands still is given up when the shard goes over to another', async (t) => {
  const { repair, attempts, seen, placed, failures, pass } = repairing();
  repair.lost(0, new RunError('it answers nothing'));
  await settled();
  t.is(attempts.length, 1, 'it waits for the server that stands still');
  // Longer than the deadline: what counts is how long the new one has been there.
  pass(2 * DEADLINE_MS);
  repair.lost(0, new RunError('shard 0 has gone over'));
  await settled();
  t.is(attempts.length, 2);
  await attempts[1].succeed();
  t.deepEqual(placed, [attempts[1].link]);
  // The first one wakes up.
  await attempts[0].succeed();
  t.true(attempts[0].link.closed);
  t.deepEqual(placed, [attempts[1].link]);
  t.deepEqual(seen, ['resumed']);
  t.deepEqual(failures, []);
});

test('after the deadline the exchange fails with who was not to be reached', async (t) => {
  const { repair, attempts, failures, pass } = repairing();
  repair.lost(0, new RunError('server 1 (host:7) was lost'));
  await settled();
  pass(2 * DEADLINE_MS + 1);
  await attempts[0].fail(new RunError('server 1 (host:7) was lost again'));
  t.is(attempts.length, 1);
  t.regex(
    failures[0].message,
    /^server 1 \(host:7\) was lost again; it was not to be reached again in 20 s; this client was in the exchange of step 3$/,
  );
});

test('it is told for whom the client waits after what exchanges may take, and then every second', async (t) => {
  const { repair, attempts, seen, pass } = repairing();
  repair.lost(0, new RunError('it broke'));
  // Each time RECONNECT_MS passes, too.
  for (const ms of [200, 100, 800, 100]) {
    pass(ms);
    await attempts.at(-1)?.fail(new RunError('nobody there'));
  }
  t.deepEqual(seen, ['waits 0.4', 'waits 1.4']);
  await attempts.at(-1)?.succeed();
});

test('what a server refuses for good is not asked again', async (t) => {
  const { repair, attempts, failures } = repairing();
  const refused = new Refused(RefusalCode.REFUSAL_CODE_SCHEMA, 'another model', 'server 1');
  repair.lost(0, new RunError('it broke'));
  await attempts[0].fail(refused);
  t.deepEqual(failures, [refused]);
  t.is(attempts.length, 1);
});

test('whoever is told nothing asks who holds the shards, as long as a link is missing', async (t) => {
  let asked = 0;
  const { repair, attempts, failures } = repairing(async () => {
    asked++;
    // The second answer says that another server holds it.
    if (asked === 2) repair.lost(0, new RunError('shard 0 has gone over'));
    await settled();
  });
  repair.lost(0, new RunError('it broke'));
  for (let turn = 0; turn < 5; turn++) await settled();
  t.true(asked >= 2);
  t.is(attempts.length, 2, 'the server that does not answer is given up for the other');
  await attempts[1].succeed();
  for (let turn = 0; turn < 5; turn++) await settled();
  const before = asked;
  for (let turn = 0; turn < 5; turn++) await settled();
  t.is(asked, before);
  t.deepEqual(failures, []);
});

test('where the run is over, what is missing is not looked for any more', async (t) => {
  const over = new RunError("expected the id of a running run, got 'r'");
  const { repair, failures } = repairing(() => Promise.reject(over));
  repair.lost(0, new RunError('server 1 (host:7) ended the stream'));
  await settled();
  t.is(failures[0].message, "server 1 (host:7) ended the stream; expected the id of a running run, got 'r'");
  t.is(failures[0].cause, over);
});
