// Which figure of a peer's output counts, and what a failed peer is told.
import test from 'ava';
import { measurePeer, type PeerRule, peerFigure } from './peer.js';

const rounds: PeerRule = {
  metric: 'round',
  unit: 'ms',
  units: ['ms', 'ms/round'],
  best: 'lowest',
  kinds: { words: ['push', 'pull', 'pp'], same: /^pp .*\bopt=adam/ },
  sentence: 'the lowest',
};
const rates: PeerRule = {
  metric: 'throughput',
  unit: 'samples/s',
  units: ['samples/s'],
  best: 'highest',
  sentence: '',
};

test.serial('of rounds only those that push, step and pull count, and the best of them', (t) => {
  const output = `push opt=None 64MiB: median 20.1 ms/round  runs ['20.1']
    => 3.3 GB/s moved (bytes both ways/time), adam 0.0 ms, one-way-size rate 3.3 GB/s
pp opt=None 64MiB: median 35 ms/round  runs ['35']
pp opt=adam 64MiB: median 71.5 ms/round  runs ['71.5']
pp opt=adam_foreach 64MiB: median 61.2 ms/round  runs ['61.2']`;
  t.is(peerFigure(rounds, output), 61.2);
});

test.serial('of rates the highest with the right unit counts', (t) => {
  const output =
    'cnn ddp2 opt=adam: median 1839 samples/s  runs\ncnn: median 1.9e+03 samples/s\nx: median 9e9 GB/s';
  t.is(peerFigure(rates, output), 1900);
});

test.serial('no figure is none', (t) => {
  t.is(peerFigure(rates, 'median 12 ms'), undefined);
});

test.serial('a peer that fails or prints no figure is an error with its last words', async (t) => {
  await t.throwsAsync(measurePeer(rates, 'echo it broke >&2; exit 3'), { message: /status 3: it broke/ });
  await t.throwsAsync(measurePeer(rates, 'echo nothing'), { message: /median NUMBER samples\/s/ });
  t.is(await measurePeer(rates, 'echo "x: median 12.5 samples/s"'), 12.5);
});
