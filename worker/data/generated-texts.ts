// The embedded dataset of texts: reviews in a made-up language, praise or blame. A review has words that lean one way
// among many that say nothing; some of them stand behind a word that turns them round, so a model that sees pairs of
// words can do better than one that sees words alone. Their content has a seed of its own, as that of the shapes.
import { setImmediate as turn } from 'node:timers/promises';
import { keyedRandom } from '../../shared/random.js';
import type { Source, SourceRecord } from './source.js';
import type { TextFormat } from './text-features.js';
import { textChunkRecords, textRecord, textRecordFormat } from './text-source.js';

/** Changes with everything that changes a text. */
const VERSION = 1;
const CONTENT_SEED = 20_240_229;

export interface GeneratedTextsSize {
  readonly train: number;
  readonly test: number;
}

export const GENERATED_TEXTS_SIZE: GeneratedTextsSize = { train: 16_000, test: 4_000 };
const CLASSES = ['blame', 'praise'];
const WORDS = 6_000;
/** Words that lean: the first half to blame, the second to praise. */
const LEANING = 600;
const LENGTH_MIN = 8;
const LENGTH_MAX = 28;
/** Share of the words of a review that lean; of these, the share that is turned round by the word before it. */
const LEANING_SHARE = 0.15;
const TURNED_SHARE = 0.25;
const CONSONANTS = 'bdfgklmnprstv';
const VOWELS = 'aeiou';

/** The word of a number: syllables, in a notation of its own. */
function wordOf(number: number): string {
  const base = CONSONANTS.length * VOWELS.length;
  let word = '';
  for (let left = number + 1; left > 0; left = Math.floor(left / base)) {
    const syllable = left % base;
    word += CONSONANTS[Math.floor(syllable / VOWELS.length)] + VOWELS[syllable % VOWELS.length];
  }
  return word;
}

const TURN = 'ne';

/** Review `index` of all, test reviews behind the others: a function of its number alone. */
export function reviewOf(index: number): { label: number; text: string } {
  const random = keyedRandom(CONTENT_SEED, 'review', index);
  const label = random.below(CLASSES.length);
  const count = LENGTH_MIN + random.below(LENGTH_MAX - LENGTH_MIN + 1);
  const words: string[] = [];
  for (let i = 0; i < count; i++) {
    if (random.float() >= LEANING_SHARE) {
      // Rare words and frequent ones, as in every language (Zipf).
      words.push(wordOf(LEANING + Math.floor((WORDS - LEANING) * random.float() ** 3)));
      continue;
    }
    const turned = random.float() < TURNED_SHARE;
    if (turned) words.push(TURN);
    const leaning = turned ? 1 - label : label;
    words.push(wordOf((leaning * LEANING) / 2 + random.below(LEANING / 2)));
  }
  return { label, text: words.join(' ') };
}

export function generatedTextsIdentity({ train, test }: GeneratedTextsSize): string {
  return `reviews-v${VERSION}-${train}-${test}`;
}

export function generatedTexts(size: GeneratedTextsSize, format: TextFormat): Source {
  const perChunk = textChunkRecords(format);
  const total = size.train + size.test;
  const chunks = Math.ceil(total / perChunk);
  return {
    name: 'reviews',
    classes: CLASSES,
    format: textRecordFormat(format),
    splits: { ...size },
    chunks,
    async produce(wanted, deliver, signal) {
      for (let chunk = 0; chunk < chunks; chunk++) {
        if (!wanted(chunk)) continue;
        const records: SourceRecord[] = [];
        for (let index = chunk * perChunk; index < Math.min(total, (chunk + 1) * perChunk); index++) {
          const { label, text } = reviewOf(index);
          records.push(textRecord(index, label, text, format));
        }
        await deliver(chunk, records);
        await turn();
        signal?.throwIfAborted();
      }
    },
  };
}
