// The files of deploy/ fit the binaries: their variables are options that the binaries take, and images are pinned.
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { SERVER, WORKER } from '../../shared/config/commands.js';
import { variableOf } from '../../shared/config/option.js';
import { type CommandDefinition, parseOptions } from '../../shared/config/parse.js';
import { prometheusTest } from '../helpers/prometheus.js';

const compose = await readFile('deploy/compose.yaml', 'utf8');
const dockerfile = await readFile('deploy/Dockerfile', 'utf8');

/** The text of a block of the compose file, by the line it starts with, up to the next line so little indented. */
function block(start: string): string {
  const lines = compose.split('\n');
  const first = lines.findIndex((line) => line.trim().replace(/ &.*/, '') === start);
  const depth = lines[first].search(/\S/);
  const length = lines.slice(first + 1).findIndex((line) => line !== '' && line.search(/\S/) <= depth);
  return lines.slice(first, length < 0 ? undefined : first + 1 + length).join('\n');
}

/** Variables that a block sets; what stands in `${NAME:-default}` is taken as its default. */
function variables(text: string): Record<string, string> {
  const found = [...text.matchAll(/(GRADLOOM_[A-Z_]+)(?:: |=)"?([^"\s\\]*)"?/g)];
  return Object.fromEntries(
    found.map(([, name, value]) => [name, value.replace(/\$\{\w+:-([^}]*)\}/g, '$1')]),
  );
}

const image = variables(dockerfile);
const shared = variables(block('x-environment:'));
const services: [string, CommandDefinition<never>, string, number][] = [
  ['server-1', SERVER as never, block('server-1:'), 3],
  ['server-2', SERVER as never, block('server-2:'), 4],
  ['worker-1', WORKER as never, block('x-worker:'), 4],
];
for (const [name, command, text, least] of services) {
  test(`the variables of ${name} are options of ${command.name}, and together they are accepted`, async (t) => {
    const own = { ...shared, ...variables(text) };
    t.true(Object.keys(own).length >= least);
    const known = Object.values<{ flag: string }>(command.options).map(({ flag }) => variableOf(flag));
    for (const variable of Object.keys(own)) t.true(known.includes(variable), variable);
    const result = await parseOptions(command, [], { ...image, ...own });
    t.is(result.kind, 'run');
    if (result.kind === 'run') t.deepEqual(result.warnings, []);
  });
}

test('the image sets options that exist, and its health check asks where the metrics are', (t) => {
  const known = [SERVER, WORKER]
    .flatMap(({ options }) => Object.values<{ flag: string }>(options))
    .map(({ flag }) => variableOf(flag));
  for (const variable of Object.keys(image)) t.true(known.includes(variable), variable);
  t.true(dockerfile.includes(`http://${image.GRADLOOM_METRICS}/healthz`));
});

test('the binaries of the image are there after a build, and are those of the package', async (t) => {
  const { bin } = JSON.parse(await readFile('package.json', 'utf8')) as { bin: Record<string, string> };
  const linked = [...dockerfile.matchAll(/ln -s \/app\/(\S+) \/usr\/local\/bin\/(\S+)/g)];
  t.deepEqual(Object.fromEntries(linked.map(([, file, name]) => [name, file])), bin);
  for (const file of Object.values(bin))
    t.true((await readFile(file, 'utf8')).startsWith('#!/usr/bin/env node'));
});

test('every image is pinned to a version', (t) => {
  const images = [
    ...[...compose.matchAll(/^\s*image: (\S+)/gm)].map(([, name]) => name),
    ...[...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, name]) => name),
  ];
  t.is(images.length, 5);
  for (const name of images) t.regex(name, /:v?\d+\.\d+\.\d+(-[a-z-]+)?$/);
});

test('no node runs as root, and only Prometheus and Grafana are published, on loopback', (t) => {
  t.regex(dockerfile, /^USER node$/m);
  const ports = [...compose.matchAll(/^\s*ports: \["(.*)"\]/gm)].map(([, port]) => port);
  t.deepEqual(ports, ['127.0.0.1:9090:9090', '127.0.0.1:3000:3000']);
});

test('what the image copies and what compose mounts is there', async (t) => {
  for (const [, path] of compose.matchAll(/(?:- |")(\.\/[\w/]+):/g)) {
    t.true((await readdir(join('deploy', path))).length > 0, path);
  }
});

test('Prometheus scrapes every node where it serves its metrics', async (t) => {
  const text = await readFile('deploy/prometheus/prometheus.yml', 'utf8');
  const port = shared.GRADLOOM_METRICS.split(':')[1];
  const nodes = [...compose.matchAll(/^ {2}((?:server|worker)-\d+):$/gm)].map(([, name]) => name);
  t.is(nodes.length, 4);
  for (const name of nodes) t.true(text.includes(`"${name}:${port}"`), name);
});

prometheusTest('Prometheus accepts its configuration', (t) => {
  const { status, stderr } = spawnSync('promtool', ['check', 'config', 'deploy/prometheus/prometheus.yml'], {
    encoding: 'utf8',
  });
  t.is(status, 0, stderr);
});
