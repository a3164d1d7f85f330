// Two hosts on one machine: network namespaces with a link between them and an address each, by Linux's `ip netns`.
import { spawnSync } from 'node:child_process';
import test, { type ExecutionContext, type Implementation } from 'ava';

export interface Host {
  /** Its own address, which only the other one and itself can reach. */
  readonly address: string;
  /** A command that starts a program on it. */
  readonly through: readonly string[];
}

/** Runs `ip`; what it said, where it failed. */
function ip(line: string): string | undefined {
  const { error, status, stderr } = spawnSync('ip', line.split(' '), { encoding: 'utf8' });
  if (error) return error.message;
  return status === 0 ? undefined : stderr.trim().split('\n')[0] || `ip ended with ${status}`;
}

const name = (letter: string) => `gradloom-${process.pid}-${letter}`;

/** Why there can be no network namespaces here; undefined where there can. */
export function namespacesMissing(): string | undefined {
  const trial = name('trial');
  const fault = ip(`netns add ${trial}`) ?? ip(`netns exec ${trial} true`);
  ip(`netns delete ${trial}`);
  return fault;
}

/** Declares a test that needs network namespaces: run where they are permitted, else skipped visibly. */
export function namespacesTest(title: string, implementation: Implementation<[]>): void {
  const missing = namespacesMissing();
  if (missing === undefined) test.serial(title, implementation);
  else test.serial.skip(`${title} [skipped: ${missing}]`, implementation);
}

/** Makes two hosts that are gone after the test. */
export function twoHosts(t: ExecutionContext): [Host, Host] {
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
  }));
  return [a, b];
}
