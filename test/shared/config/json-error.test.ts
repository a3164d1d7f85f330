// The place of a mistake in a config file.
import test from 'ava';
import fc from 'fast-check';
import { findJsonError } from '../../../shared/config/json-error.js';

const cases: [string, string, number, number, string][] = [
  ['a missing comma', '{\n  "epochs": 5\n  "batch": 64\n}', 3, 3, '"," or "}"'],
  ['a comma too many', '{"epochs": 5,}', 1, 14, 'a key in double quotes'],
  ['single quotes', "{'epochs': 5}", 1, 2, 'a key in double quotes'],
  ['a missing value', '{"epochs": }', 1, 12, 'a value'],
  ['a missing colon', '{"epochs" 5}', 1, 11, '":"'],
  ['text after the object', '{}\n{}', 2, 1, 'the end of the file'],
  ['a file that ends too early', '{"epochs": 5', 1, 13, '"," or "}"'],
  ['an empty file', '', 1, 1, 'a value'],
  ['a comment', '{\n// five\n"epochs": 5}', 2, 1, 'a key in double quotes'],
  ['a string over two lines', '{"a": "b\nc"}', 1, 7, 'a string that ends on its line'],
  ['a number with a leading zero', '[01]', 1, 3, '"," or "]"'],
];
for (const [title, text, line, column, expected] of cases) {
  test(`${title} is found at its line and column`, (t) => {
    t.throws(() => JSON.parse(text), { instanceOf: SyntaxError });
    t.deepEqual(findJsonError(text), { line, column, expected });
  });
}

test('it finds nothing in what JSON.parse accepts, and something in what JSON.parse refuses', (t) => {
  const edit = fc.tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 }), fc.boolean());
  const property = fc.property(edit, ([json, at, insertion, mutate]) => {
    const place = at % (json.length + 1);
    const text = mutate ? json.slice(0, place) + insertion + json.slice(place + 1) : json;
    let valid = true;
    try {
      JSON.parse(text);
    } catch (error) {
      valid = !(error instanceof SyntaxError);
    }
    t.is(findJsonError(text) === undefined, valid, text);
  });
  t.notThrows(() => fc.assert(property, { seed: 3, numRuns: 1000 }));
});

test('a megabyte in one string and nesting without end are followed without overflow', (t) => {
  t.is(findJsonError(`"${'\\n'.repeat(500_000)}"`), undefined);
  t.is(findJsonError('['.repeat(1_000_000))?.expected, 'at most 256 levels of nesting');
});
