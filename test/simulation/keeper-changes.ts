// A mesh whose keeper changes, in one thread, by chance from a seed: the real coordinator and what it leaves behind, and
// participants that only do what orders say. What a keeper had not written is lost, and so is everything under way to or
// from it; workers and servers die, too. Checked: all come to one end, under the same views, with the same evaluations.
import { Coordinator, type Order } from '../../server/coordinator.js';
import { restore, type State, save } from '../../server/coordinator-state.js';
import { keyedRandom } from '../../shared/random.js';
import type { ServerOrder } from '../../shared/rpc/generated/gradloom/v1/ServerOrder.js';
import type { View } from '../../shared/rpc/generated/gradloom/v1/View.js';
import type { WorkerOrder } from '../../shared/rpc/generated/gradloom/v1/WorkerOrder.js';
import { PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { makeSpec } from '../helpers/shards.js';

const STEPS = 12;
const EPOCH_STEPS = 4;
const TURNS_MAX = 20_000;

type Report = (keeper: Coordinator, connection: number) => Order[];

interface Worker {
  readonly token: string;
  connection: number;
  isDead: boolean;
  run?: { id: string; rank: number };
  step: number;
  view: number;
  term: number;
  next?: View;
  isHeld: boolean;
  isStarted: boolean;
  isEvaluating: boolean;
  told: { step: number; records: number; loss: number; accuracy: number }[];
  isDone: boolean;
  ended?: { failed?: boolean; reason?: string };
}

interface Server {
  readonly address: string;
  id: number;
  connection: number;
  isDead: boolean;
  readonly runs: Map<string, { view: View; next?: View; fenced: Set<number> }>;
}

export interface Outcome {
  violations: string[];
  /** What happened, in order. */
  trace: string[];
  keepers: number;
  deaths: number;
  views: number;
  failed?: string;
}

/** What is done wrong, on purpose, to show that the checkers find it. */
export type Bug = 'orders leave first' | 'decided views are forgotten' | 'evaluations are forgotten';
export const BUGS: readonly Bug[] = [
  'orders leave first',
  'decided views are forgotten',
  'evaluations are forgotten',
];

/** Plays one seed to its end. */
export function playKeepers(seed: number, bug?: Bug): Outcome {
  const random = keyedRandom(seed, 'keepers');
  const chance = (share: number) => random.float() < share;
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.float() * all.length)];
  const violations: string[] = [];
  const trace: string[] = [];
  const say = (what: string) => void trace.push(what);
  const elastic = chance(0.5);
  const replicas = elastic && chance(0.5) ? 1 : 2;
  const spec = makeSpec({
    ...{ workers: 3, replicas, epochs: STEPS / EPOCH_STEPS, stepsPerEpoch: EPOCH_STEPS, codec: 'fp32' },
    ...(elastic ? { elastic } : {}),
  });
  const workers = Array.from(
    { length: 3 },
    (_, index): Worker => ({
      ...{ token: `w${index}`, connection: 0, isDead: false, step: 0, view: 1, term: 0 },
      ...{ isHeld: false, isStarted: false, isEvaluating: false, told: [], isDone: false },
    }),
  );
  const servers = Array.from(
    { length: 3 },
    (_, index): Server => ({
      ...{ address: `10.0.0.${index}:1`, id: -1, connection: 0, isDead: false, runs: new Map() },
    }),
  );

  let keeper = new Coordinator();
  let written: State = new Map();
  /** Orders of events that are not written yet. */
  let unwritten: Order[] = [];
  let connections = 0;
  /** What is under way, by connection: reports to the keeper, orders from it. */
  let reports = new Map<number, Report[]>();
  let orders = new Map<number, Order[]>();
  const outcome: Outcome = { violations, trace, keepers: 1, deaths: 0, views: 0 };

  const report = (connection: number, what: Report) => {
    if (connection > 0) reports.set(connection, [...(reports.get(connection) ?? []), what]);
  };
  const send = (sent: readonly Order[]) => {
    for (const order of sent)
      if (order.to !== 'caller')
        orders.set(order.connection, [...(orders.get(order.connection) ?? []), order]);
  };
  const isEvaluation = ({ to, order }: Order) => to === 'worker' && (order.evaluation?.records ?? 0) > 0;
  const take = (more: Order[]) => {
    // As the Membership service does.
    if (bug === 'orders leave first' || more.every(isEvaluation)) send(more);
    else unwritten.push(...more);
  };
  const write = () => {
    written = save(keeper.lasting);
    send(unwritten);
    unwritten = [];
  };

  const workerHello = (worker: Worker) => {
    worker.connection = ++connections;
    say(`${worker.token} comes (${worker.isStarted ? `step ${worker.step}, view ${worker.view}` : 'new'})`);
    const { token, run, view, term, isStarted, told } = worker;
    const back =
      isStarted && run
        ? {
            run: run.id,
            view,
            term,
            evaluated: bug === 'evaluations are forgotten' ? undefined : told.at(-1),
          }
        : undefined;
    report(worker.connection, (coordinator, connection) => {
      const hello = { protocolVersion: PROTOCOL_VERSION, run: '', label: token, token };
      return (
        coordinator.workerBack(connection, hello, back) ?? coordinator.workerJoined(connection, hello, spec)
      );
    });
    if (worker.isEvaluating) handIn(worker, true);
    if (worker.isDone) done(worker);
  };
  const serverHello = (server: Server) => {
    server.connection = ++connections;
    const { address, id } = server;
    const hello = { protocolVersion: PROTOCOL_VERSION, address, memoryBytes: 2 ** 30, label: address };
    const runs = [...server.runs.keys()];
    report(server.connection, (coordinator, connection) =>
      id < 0
        ? coordinator.serverJoined(connection, hello)
        : coordinator.serverBack(connection, hello, { id, runs }),
    );
  };
  const handIn = ({ connection, step, view, run }: Worker, again = false) => {
    const rank = run?.rank ?? 0;
    report(connection, (coordinator, from) =>
      coordinator.evaluationPart(from, step, {
        records: 8,
        lossSum: step + rank,
        correct: rank,
        view,
        again,
      }),
    );
  };
  const done = ({ connection }: Worker) =>
    report(connection, (coordinator, from) =>
      coordinator.workerDone(from, { bytesPushed: 1, bytesPulled: 2, steps: STEPS }),
    );

  const members = () => workers.filter(({ isStarted, isDead, ended }) => isStarted && !isDead && !ended);
  const openStep = () => Math.min(...workers.filter(({ isStarted }) => isStarted).map(({ step }) => step));

  const obeyAsWorker = (worker: Worker, order: WorkerOrder) => {
    say(`${worker.token} at step ${worker.step} is told ${brief(order)}`);
    const { welcome, start, hold, view, placed, evaluation, ended } = order;
    if (welcome && !worker.isStarted) worker.run = { id: String(welcome.run), rank: Number(welcome.rank) };
    if (start?.view && !worker.isStarted) {
      worker.isStarted = true;
      Object.assign(worker, { view: start.view.number, term: start.view.term });
    }
    if (hold) {
      worker.isHeld = true;
      const held = { number: Number(hold.number), step: worker.step };
      report(worker.connection, (coordinator, connection) => coordinator.workerHeld(connection, held));
    }
    if (placed) worker.term = Math.max(worker.term, Number(placed.term));
    if (view) {
      worker.term = Math.max(worker.term, Number(view.term));
      worker.isHeld = false;
      if (Number(view.number) <= worker.view) return;
      if (view.departed && Number(view.fromStep) <= worker.step) {
        worker.step = Number(view.fromStep);
        enter(worker, view);
      } else worker.next = view;
    }
    if (evaluation && worker.isEvaluating) {
      worker.isEvaluating = false;
      // Of no records: somebody has left, and the share is asked for anew.
      if (evaluation.records) worker.told.push(evaluation as Worker['told'][number]);
    }
    if (ended) worker.ended = ended;
  };
  const enter = (worker: Worker, view: View) => {
    worker.view = Number(view.number);
    worker.next = undefined;
    const number = worker.view;
    report(worker.connection, (coordinator, connection) => {
      coordinator.workerEntered(connection, number);
      return [];
    });
  };

  const obeyAsServer = (server: Server, order: ServerOrder) => {
    say(`server ${server.id} is told ${brief(order)}`);
    const { welcome, prepare, place, change, fence, end } = order;
    if (welcome && server.id < 0) server.id = Number(welcome.id);
    if (prepare?.view) {
      const run = String(prepare.run);
      server.runs.set(run, { view: prepare.view, fenced: new Set() });
      const { term } = prepare.view;
      report(server.connection, (coordinator, connection) =>
        coordinator.serverPrepared(connection, run, Number(term)),
      );
    }
    if (place?.view) {
      const run = String(place.run);
      for (const [shard, { primary, joining }] of (place.view.shards ?? []).entries())
        for (const copy of primary === server.id ? (joining ?? []) : [])
          report(server.connection, (coordinator, connection) =>
            coordinator.shardReplicated(connection, run, { shard, server: copy }),
          );
    }
    if (fence) {
      const held = server.runs.get(String(fence.run));
      const rank = Number(fence.rank);
      held?.fenced.add(rank);
      const step = openStep();
      const gone = workers.find((worker) => worker.run?.rank === rank);
      const fenced = {
        number: Number(fence.number),
        step,
        initialized: true,
        complete: (gone?.step ?? 0) > step,
      };
      report(server.connection, (coordinator, connection) =>
        coordinator.serverFenced(connection, String(fence.run), fenced),
      );
    }
    if (change?.view) {
      const held = server.runs.get(String(change.run));
      if (held && (held.next ?? held.view).number !== change.view.number) {
        held.next = change.view;
        outcome.views++;
      }
      const { number } = change.view;
      report(server.connection, (coordinator, connection) =>
        coordinator.serverTaken(connection, String(change.run), Number(number)),
      );
    }
    if (end) server.runs.delete(String(end.run));
  };

  /** One step of a worker, or what it has to do before. */
  const work = (worker: Worker) => {
    const { step } = worker;
    if (worker.isEvaluating || worker.isDone) return;
    if (members().some((other) => other.step < step)) return;
    // Somebody who is dead and not yet put out is waited for.
    if (workers.some((other) => other.isDead && other.isStarted && other.step < step && !isOut(other)))
      return;
    if (worker.next && Number(worker.next.fromStep) === step) enter(worker, worker.next);
    const isTold = worker.told.some((evaluation) => evaluation.step === step);
    if (step > 0 && step % EPOCH_STEPS === 0 && !isTold) {
      worker.isEvaluating = true;
      say(`${worker.token} evaluates at step ${step}`);
      return handIn(worker);
    }
    if (step === STEPS) {
      worker.isDone = true;
      return done(worker);
    }
    if (worker.isHeld) return;
    for (const server of servers) {
      const held = server.runs.get(String(worker.run?.id));
      if (server.isDead || !held) continue;
      if (held.next && Number(held.next.fromStep) <= step) {
        held.view = held.next;
        held.next = undefined;
      }
      if (Number(held.view.number) !== worker.view)
        violations.push(
          `worker ${worker.token} does step ${step} under view ${worker.view}, server ${server.id} is under ${held.view.number}`,
        );
    }
    say(`${worker.token} does step ${step} under view ${worker.view}`);
    worker.step++;
  };
  const isOut = (worker: Worker) =>
    servers.every(
      ({ isDead, runs }) =>
        isDead || [...runs.values()].every(({ fenced }) => fenced.has(worker.run?.rank ?? -1)),
    );

  const changeKeeper = () => {
    say('the keeper changes');
    outcome.keepers++;
    // Perhaps it has written, and told nobody.
    if (chance(0.5)) written = save(keeper.lasting);
    reports = new Map();
    orders = new Map();
    unwritten = [];
    for (const participant of [...workers, ...servers]) participant.connection = 0;
    keeper = new Coordinator();
    if (written.size === 0) return;
    const left = restore(written);
    if (bug === 'decided views are forgotten') for (const run of left.runs) run.decided = undefined;
    take(keeper.takeOver(left));
  };
  const die = (participant: Worker | Server) => {
    outcome.deaths++;
    say(`${'token' in participant ? participant.token : `server ${participant.id}`} dies`);
    participant.isDead = true;
    const { connection } = participant;
    participant.connection = 0;
    if (connection === 0) return;
    report(connection, (coordinator, from) =>
      'token' in participant
        ? coordinator.workerLeft(from, 'it died')
        : coordinator.serverLeft(from, 'it died'),
    );
    orders.delete(connection);
  };

  let changesLeft = 3;
  let keepersLeft = 4;
  let deathsLeft = elastic && replicas > 1 ? 2 : 1;
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const alive = workers.filter(({ isDead }) => !isDead);
    if (alive.every(({ ended }) => ended) && servers.every(({ isDead, runs }) => isDead || runs.size === 0))
      break;
    const what = random.float();
    if (what < 0.01 && keepersLeft-- > 0) changeKeeper();
    else if (what < 0.02 && changesLeft > 0) {
      try {
        take(keeper.changeRequested(++connections, { run: '', consistency: 1, staleness: 0 }));
        changesLeft--;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    } else if (what < 0.024 && deathsLeft > 0 && alive.every(({ isStarted }) => isStarted)) {
      deathsLeft--;
      // One of each at most: what is held twice does not outlive two.
      const mayDie = [
        ...(elastic && !workers.some(({ isDead }) => isDead) ? workers.filter(({ isDone }) => !isDone) : []),
        ...(replicas > 1 && !servers.some(({ isDead }) => isDead) ? servers : []),
      ];
      if (mayDie.length > 0) die(pick<Worker | Server>(mayDie));
    } else if (what < 0.1) {
      const lost = [...workers, ...servers].filter((each) => !each.isDead && each.connection === 0);
      const back = lost.length > 0 ? pick(lost) : undefined;
      const areServersThere = servers.every(({ id }) => id >= 0);
      if (back && 'token' in back && areServersThere && !back.ended) workerHello(back);
      else if (back && !('token' in back)) serverHello(back);
      // With everybody there who lives, the dead are given up.
      const isComplete = lost.every((each) => 'token' in each && each.ended);
      if (isComplete && keeper.isRecovering && reports.size === 0)
        take(keeper.giveUp('it did not come back'));
    } else if (what < 0.4) {
      const from = [...reports.keys()];
      if (from.length === 0) continue;
      const connection = pick(from);
      const [first, ...rest] = reports.get(connection) as Report[];
      if (rest.length > 0) reports.set(connection, rest);
      else reports.delete(connection);
      try {
        take(first(keeper, connection));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        violations.push(`refused: ${error.sentence}`);
      }
    } else if (what < 0.5) write();
    else if (what < 0.8) {
      const to = [...orders.keys()];
      if (to.length === 0) continue;
      const connection = pick(to);
      const [first, ...rest] = orders.get(connection) as Order[];
      if (rest.length > 0) orders.set(connection, rest);
      else orders.delete(connection);
      const worker = workers.find((each) => each.connection === connection);
      const server = servers.find((each) => each.connection === connection);
      if (first.to === 'worker' && worker) obeyAsWorker(worker, first.order);
      if (first.to === 'server' && server) obeyAsServer(server, first.order);
    } else {
      const ready = members();
      if (ready.length > 0) work(pick(ready));
    }
    if (violations.length > 0) return outcome;
  }

  const alive = workers.filter(({ isDead }) => !isDead);
  for (const { token, ended, step } of alive)
    if (!ended) violations.push(`${token} has not come to an end, at step ${step}: ${waiting(keeper)}`);
  for (const { address, isDead, runs } of servers)
    if (!isDead && runs.size > 0) violations.push(`${address} still holds ${[...runs.keys()].join(', ')}`);
  outcome.failed = alive.find(({ ended }) => ended?.failed)?.ended?.reason;
  for (const worker of alive)
    for (const evaluation of worker.told)
      for (const other of alive) {
        const same = other.told.find(({ step }) => step === evaluation.step);
        if (same && (same.loss !== evaluation.loss || same.records !== evaluation.records))
          violations.push(
            `${worker.token} and ${other.token} were told different evaluations of step ${evaluation.step}`,
          );
      }
  if (!outcome.failed)
    for (const { token, told, ended } of alive)
      if (ended && told.length !== STEPS / EPOCH_STEPS)
        violations.push(`${token} was told ${told.length} evaluations of ${STEPS / EPOCH_STEPS}`);
  return outcome;
}

function waiting(keeper: Coordinator): string {
  return [...keeper.runs.values()].map((run) => `${run.state} ${keeper.waiting(run)}`).join('; ') || 'no run';
}

/** An order, in a few words. */
function brief(order: WorkerOrder | ServerOrder): string {
  const [name, content] = Object.entries(order)[0];
  const { number, fromStep, term, step, records, view, reason, rank } = { ...content, ...content?.view };
  const said = {
    number,
    fromStep,
    term,
    step,
    records,
    view: typeof view === 'number' ? view : undefined,
    reason,
    rank,
  };
  return `${name} ${JSON.stringify(said)}`;
}
