// Texts as a source of records, in the format of fastText: train.txt and, where there is a test set, test.txt, one text
// a line, its class before it: `__label__good a film that …`. In a folder, or in a tar archive. Files are read once to
// count them and once to fill the cache, a piece at a time, so they may be larger than memory.
import { posix } from 'node:path';
import { UserError } from '../../shared/errors.js';
import {
  CACHE_CHUNK_MAX_BYTES,
  CACHE_CHUNK_RECORDS,
  CLASSES_MAX,
  NAME_CHARACTERS_MAX,
  TEXT_LINE_MAX_BYTES,
} from '../../shared/limits.js';
import type { Container } from './container.js';
import { type RecordFormat, recordBytes, type Source, type SourceRecord, type Split } from './source.js';
import { type TextFormat, textIds } from './text-features.js';

const FILES: Record<Split, string> = { train: 'train.txt', test: 'test.txt' };
const LABEL = '__label__';
const PIECE_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

interface TextFile {
  readonly split: Split;
  /** For messages. */
  readonly location: string;
  readonly entry: number;
}

interface Line {
  /** From 1. */
  readonly number: number;
  readonly label: string;
  readonly text: string;
}

/** What is stored of a text. */
export const textRecordFormat = ({ length }: TextFormat): RecordFormat => ({
  shape: [length],
  dtype: 'uint32',
});

/** Records of one chunk. */
export function textChunkRecords(format: TextFormat): number {
  const most = Math.floor(CACHE_CHUNK_MAX_BYTES / recordBytes(textRecordFormat(format)));
  return Math.max(1, Math.min(CACHE_CHUNK_RECORDS, most));
}

/** A record of a text. */
export function textRecord(index: number, label: number, text: string, format: TextFormat): SourceRecord {
  return { index, label, features: new Uint8Array(textIds(text, format).buffer) };
}

async function findFiles(container: Container, signal?: AbortSignal): Promise<TextFile[]> {
  const entries = await container.entries(signal);
  const train = entries.filter(({ path, folder }) => !folder && posix.basename(path) === FILES.train);
  if (train.length !== 1)
    throw new UserError(
      `${container.location} has ${train.length} files ${FILES.train}, expected one, a text a line with its class before it (${LABEL}good a film that …): check the path`,
    );
  const folder = posix.dirname(train[0].path);
  return (['train', 'test'] as const).flatMap((split) => {
    const path = posix.join(folder, FILES[split]);
    const entry = entries.findIndex((each) => !each.folder && posix.normalize(each.path) === path);
    return entry < 0 ? [] : [{ split, entry, location: posix.join(container.location, path) }];
  });
}

function parse(file: TextFile, number: number, bytes: Buffer): Line | undefined {
  const line = bytes.toString('utf8').trim();
  if (line === '') return undefined;
  const end = line.search(/\s/);
  const label = line.slice(LABEL.length, end < 0 ? undefined : end);
  if (!line.startsWith(LABEL) || label === '' || label.length > NAME_CHARACTERS_MAX)
    throw new UserError(
      `${file.location}, line ${number}: expected a class of 1 to ${NAME_CHARACTERS_MAX} characters and a text, as in "${LABEL}good a film that …", got ${JSON.stringify(line.slice(0, 40))}`,
    );
  return { number, label, text: end < 0 ? '' : line.slice(end + 1) };
}

async function* linesOf(container: Container, file: TextFile, signal?: AbortSignal): AsyncGenerator<Line> {
  let number = 0;
  let rest: Buffer = Buffer.alloc(0);
  const pieces = container.read({ pieceBytes: PIECE_BYTES, wanted: (entry) => entry === file.entry, signal });
  for await (const { bytes } of pieces) {
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      const line = parse(file, ++number, Buffer.concat([rest, bytes.subarray(from, end)]));
      rest = Buffer.alloc(0);
      from = end + 1;
      if (line) yield line;
    }
    rest = Buffer.concat([rest, bytes.subarray(from)]);
    if (rest.length > TEXT_LINE_MAX_BYTES)
      throw new UserError(
        `${file.location}, line ${number + 1}: expected lines of at most ${TEXT_LINE_MAX_BYTES} bytes, got a longer one: cut it`,
      );
  }
  const last = parse(file, ++number, rest);
  if (last) yield last;
}

/** @throws UserError for a file that is missing, or a line that is none of the format */
export async function openTexts(
  container: Container,
  format: TextFormat,
  signal?: AbortSignal,
): Promise<Source> {
  const files = await findFiles(container, signal);
  const splits = { train: 0, test: 0 };
  const labels = new Set<string>();
  for (const file of files)
    for await (const { label, number } of linesOf(container, file, signal)) {
      if (file.split === 'test' && !labels.has(label))
        throw new UserError(
          `${file.location}, line ${number}: expected a class that ${FILES.train} has, got '${label}'`,
        );
      labels.add(label);
      if (labels.size > CLASSES_MAX)
        throw new UserError(`${file.location}: expected at most ${CLASSES_MAX} classes, got more`);
      splits[file.split]++;
    }
  const classes = [...labels].sort();
  const numbers = new Map(classes.map((label, index) => [label, index]));
  const perChunk = textChunkRecords(format);
  const chunksOf = (records: number) => Math.ceil(records / perChunk);
  return {
    name: 'texts',
    classes,
    format: textRecordFormat(format),
    splits,
    chunks: chunksOf(splits.train) + chunksOf(splits.test),
    async produce(wanted, deliver, produceSignal) {
      for (const file of files) {
        const first = file.split === 'train' ? 0 : splits.train;
        const firstChunk = file.split === 'train' ? 0 : chunksOf(splits.train);
        let inFile = 0;
        let records: SourceRecord[] | undefined;
        for await (const { label, text } of linesOf(container, file, produceSignal)) {
          const chunk = firstChunk + Math.floor(inFile / perChunk);
          if (inFile % perChunk === 0) records = wanted(chunk) ? [] : undefined;
          records?.push(textRecord(first + inFile, numbers.get(label) ?? 0, text, format));
          inFile++;
          if (records && (inFile % perChunk === 0 || inFile === splits[file.split])) {
            await deliver(chunk, records);
            records = undefined;
          }
        }
      }
    },
  };
}
