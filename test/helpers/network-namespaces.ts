// Two hosts on one machine: network namespaces with a link between them and an address each, by Linux's `ip netns`.
import { spawnSync } from 'node:child_process';
import type { ExecutionContext } from 'ava';

export interface Host {
  /** Its own address, which only the other one and itself can reach. */
  readonly address: string;
  /** A command that starts a program on it. */
  readonly through: readonly string[];
  /** Its end of the link. */
  readonly device: string;
}

/** Runs `ip` or another tool; what it said, where it failed. */
function ip(line: string, tool = 'ip'): string | undefined {
  const { error, status, stderr } = spawnSync(tool, line.split(' '), { encoding: 'utf8' });
  if (error) return error.message;
  return status === 0 ? undefined : stderr.trim().split('\n')[0] || `${tool} ended with ${status}`;
}

const name = (letter: string) => `gradloom-${process.pid}-${letter}`;

/** Why there can be no network namespaces here; undefined where there can. */
export function namespacesMissing(): string | undefined {
  const trial = name('trial');
  const fault = ip(`netns add ${trial}`) ?? ip(`netns exec ${trial} true`);
  ip(`netns delete ${trial}`);
  return fault;
}

/** Makes two hosts that are gone after the test. */
export function twoHosts(t: Pick<ExecutionContext, 'teardown'>): [Host, Host] {
  const letters = ['a', 'b'] as const;
  const device = (letter: string) => `gl${process.pid}${letter}`;
  const lines = [
    ...letters.map((letter) => `netns add ${name(letter)}`),
    `link add ${device('a')} netns ${name('a')} type veth peer name ${device('b')} netns ${name('b')}`,
    ...letters.flatMap((letter, index) => [
      `-n ${name(letter)} address add 10.77.0.${index + 1}/24 dev ${device(letter)}`,
      `-n ${name(letter)} link set lo up`,
      `-n ${name(letter)} link set ${device(letter)} up`,
    ]),
  ];
  t.teardown(() => {
    for (const letter of letters) ip(`netns delete ${name(letter)}`);
  });
  for (const line of lines) {
    const fault = ip(line);
    if (fault) throw new Error(`ip ${line}: ${fault}`);
  }
  const [a, b] = letters.map((letter, index) => ({
    address: `10.77.0.${index + 1}`,
    through: ['ip', 'netns', 'exec', name(letter)],
    device: device(letter),
  }));
  return [a, b];
}

/** Limits what a host sends to a rate, with a queue of 20 ms before it (`tc tbf`); another limit takes its place. */
export function limitRate({ through, device }: Host, megabitsPerSecond: number): void {
  const [, , , namespace] = through;
  const bucketBytes = Math.max(16 * 1024, Math.ceil((megabitsPerSecond * 1e6) / 8 / 250));
  const line = `-n ${namespace} qdisc replace dev ${device} root tbf rate ${megabitsPerSecond}mbit burst ${bucketBytes} latency 20ms`;
  const fault = ip(line, 'tc');
  if (fault) throw new Error(`tc ${line}: ${fault}`);
}
