// A real Prometheus for tests: started on a free port with a configuration of its own, asked over HTTP, stopped.
// Without the binary (Debian: apt-get install prometheus) such tests are skipped with that reason in their title;
// where CI is set they fail instead, so that they cannot go missing unseen.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext, type Implementation } from 'ava';

export interface Series {
  metric: Record<string, string>;
  /** Of an instant query one, of a range query many: [seconds since 1970, value]. */
  values: [number, number][];
}

export interface Prometheus {
  readonly url: string;
  /** The series of an expression, now. Throws with Prometheus' own message where it does not parse. */
  query(expression: string): Promise<Series[]>;
  /** The series of an expression over a time, in seconds since 1970. */
  queryRange(expression: string, start: number, end: number, stepSeconds: number): Promise<Series[]>;
  /** Asks again until the condition holds; throws with the last answer after `deadlineMs`. */
  until(expression: string, holds: (series: Series[]) => boolean, deadlineMs?: number): Promise<Series[]>;
  stop(): Promise<void>;
}

const BINARY = 'prometheus';
const READY_MS = 60_000;
/** Between two of the questions of `until`. */
const ASK_AGAIN_MS = 100;

/** Why tests with Prometheus cannot run here; undefined where they can. */
export function prometheusMissing(): string | undefined {
  const { error, status } = spawnSync(BINARY, ['--version'], { stdio: 'ignore' });
  return error || status !== 0 ? `the binary ${BINARY} is missing (apt-get install prometheus)` : undefined;
}

/** Declares a test that needs Prometheus: run where it is there, else skipped visibly, or failed in CI. */
export function prometheusTest(title: string, implementation: Implementation<[]>): void {
  const missing = prometheusMissing();
  if (missing === undefined) test(title, implementation);
  else if (process.env.CI) test(title, (t: ExecutionContext) => t.fail(missing));
  else test.skip(`${title} [skipped: ${missing}]`, implementation);
}

/**
 * Starts Prometheus and waits until it is ready.
 * @param targets HOST:PORT of the /metrics to scrape
 */
export async function startPrometheus(
  targets: readonly string[],
  scrapeIntervalMs = 200,
): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'gradloom-prometheus-'));
  const config = {
    global: { scrape_interval: `${scrapeIntervalMs}ms`, scrape_timeout: `${scrapeIntervalMs}ms` },
    scrape_configs: [{ job_name: 'gradloom', static_configs: [{ targets }] }],
  };
  // JSON is YAML.
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const child = spawn(
    BINARY,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      '--log.format=json',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const killOnExit = () => child.kill('SIGKILL');
  process.once('exit', killOnExit);
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    process.removeListener('exit', killOnExit);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const url = `http://${await readAddress(child)}`;
    return { url, stop, ...client(url) };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Reads Prometheus' log until it is ready, and gives the address that it chose. */
function readAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const log: string[] = [];
    let address = '';
    let isReady = false;
    const fail = (why: string) =>
      reject(new Error(`${BINARY} ${why}; it said: ${log.slice(-5).join(' | ')}`));
    const timer = setTimeout(() => fail(`was not ready after ${READY_MS} ms`), READY_MS);
    child.once('error', (error) => fail(error.message));
    child.once('close', (status) => fail(`ended with ${status}`));
    if (!child.stderr) return fail('has no log');
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line);
      if (log.length > 50) log.shift();
      const { msg, address: found } = parseLine(line);
      // The two are told by different threads of its own, in either order.
      if (msg === 'Listening on' && found) address = found;
      isReady ||= msg?.includes('ready to receive web requests') ?? false;
      if (!isReady || !address) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

function parseLine(line: string): { msg?: string; address?: string } {
  return line.startsWith('{') ? JSON.parse(line) : {};
}

type Answer = { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] };

function client(url: string): Pick<Prometheus, 'query' | 'queryRange' | 'until'> {
  const ask = async (path: string, parameters: Record<string, string>): Promise<Series[]> => {
    const response = await fetch(`${url}/api/v1/${path}`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
    });
    const { status, error, data } = (await response.json()) as {
      status: string;
      error?: string;
      data: { resultType: string; result: Answer[] };
    };
    if (status !== 'success') throw new Error(`${parameters.query}: ${error}`);
    if (data.resultType !== 'vector' && data.resultType !== 'matrix') {
      throw new Error(`${parameters.query}: expected series, got a ${data.resultType}`);
    }
    return data.result.map(({ metric, value, values }) => ({
      metric,
      values: (values ?? (value ? [value] : [])).map(([time, text]) => [time, toNumber(text)]),
    }));
  };
  const query = (expression: string) => ask('query', { query: expression });
  return {
    query,
    queryRange: (expression, start, end, step) =>
      ask('query_range', { query: expression, start: `${start}`, end: `${end}`, step: `${step}` }),
    async until(expression, holds, deadlineMs = 60_000) {
      const started = Date.now();
      for (;;) {
        const series = await query(expression);
        if (holds(series)) return series;
        if (Date.now() - started > deadlineMs) {
          throw new Error(
            `${expression} was not as expected after ${deadlineMs} ms: ${JSON.stringify(series)}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      }
    },
  };
}

const toNumber = (text: string): number =>
  text === '+Inf' ? Number.POSITIVE_INFINITY : text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text);
