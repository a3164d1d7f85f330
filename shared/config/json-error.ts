// Where a JSON text stops being JSON. `JSON.parse` says it for some mistakes only and differently in each version
// of Node, and a person who wrote a config file by hand needs the line and the column.

const SPACE = /[ \t\n\r]*/y;
const LITERAL = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these in a string
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;

class Stop {
  constructor(
    readonly offset: number,
    readonly expected: string,
  ) {}
}

export interface JsonError {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
  /** Completes "expected …". */
  readonly expected: string;
}

/** The first place where `text` is not JSON, or undefined if it is. Nesting is followed 256 levels deep. */
export function findJsonError(text: string): JsonError | undefined {
  try {
    const end = space(text, value(text, 0, 0));
    if (end < text.length) throw new Stop(end, 'the end of the file');
    return undefined;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const before = text.slice(0, error.offset).split('\n');
    return { line: before.length, column: before[before.length - 1].length + 1, expected: error.expected };
  }
}

function match(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

const space = (text: string, offset: number): number => match(SPACE, text, offset);

function string(text: string, offset: number, expected: string): number {
  const end = match(STRING, text, offset);
  if (end < 0) throw new Stop(offset, text[offset] === '"' ? 'a string that ends on its line' : expected);
  return end;
}

function value(text: string, start: number, depth: number): number {
  if (depth > 256) throw new Stop(start, 'at most 256 levels of nesting');
  const offset = space(text, start);
  const first = text[offset];
  if (first === '{') return members(text, offset, '}', depth);
  if (first === '[') return members(text, offset, ']', depth);
  if (first === '"') return string(text, offset, 'a string');
  const end = match(LITERAL, text, offset);
  if (end <= offset) throw new Stop(offset, 'a value');
  return end;
}

function members(text: string, open: number, close: '}' | ']', depth: number): number {
  let offset = space(text, open + 1);
  if (text[offset] === close) return offset + 1;
  for (;;) {
    if (close === '}') {
      offset = space(text, string(text, offset, 'a key in double quotes'));
      if (text[offset] !== ':') throw new Stop(offset, '":"');
      offset++;
    }
    offset = space(text, value(text, offset, depth + 1));
    if (text[offset] === close) return offset + 1;
    if (text[offset] !== ',') throw new Stop(offset, `"," or "${close}"`);
    offset = space(text, offset + 1);
  }
}
