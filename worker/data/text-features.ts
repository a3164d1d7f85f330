// A text as ids of rows: its words, and pairs of words that stand side by side, each hashed to a row of a table, so no
// vocabulary is needed (Joulin et al., "Bag of tricks for efficient text classification", EACL 2017; the hashing trick:
// Weinberger et al., ICML 2009). Pure: the same text has the same ids everywhere.

/** How a job wants its texts. */
export interface TextFormat {
  /** Ids of one text: it is cut where it has more, and filled up with 0 where it has fewer. */
  readonly length: number;
  /** Rows of the table: ids are 1 to rows - 1, and 0 for what is filled up. */
  readonly rows: number;
  /** Pairs of words besides the words. */
  readonly pairs: boolean;
}

/** Changes with everything that changes an id. */
export const TEXT_FEATURES_VERSION = 1;

const WORDS = /[\p{L}\p{N}]+/gu;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const encoder = new TextEncoder();

/** FNV-1a over the UTF-8 bytes of a word, its bits spread by Murmur3's finalizer (Appleby). */
function hashWord(word: string): number {
  let hash = FNV_OFFSET;
  for (const byte of encoder.encode(word)) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return spread(hash);
}

function spread(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Ids of a text, `length` of them: each word, and behind it its pair with the word before. */
export function textIds(text: string, { length, rows, pairs }: TextFormat): Uint32Array {
  const ids = new Uint32Array(length);
  let count = 0;
  let before: number | undefined;
  const add = (hash: number) => {
    if (count < length) ids[count++] = 1 + (hash % (rows - 1));
  };
  for (const [word] of text.toLowerCase().matchAll(WORDS)) {
    if (count >= length) break;
    const hash = hashWord(word);
    add(hash);
    if (pairs && before !== undefined) add(spread(Math.imul(before, 31) + hash));
    before = hash;
  }
  return ids;
}
