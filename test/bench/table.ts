// Figures as a table with aligned columns, for a person.
import type { Result } from './result.js';

/** Four significant digits, without an exponent. */
function digits(value: number): string {
  if (value === 0) return '0';
  const decimals = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(decimals, 4));
}

const COLUMNS = ['case', 'metric', 'median', 'min', 'max', 'unit', 'runs'] as const;

/** One line a figure, under a line of headings. */
export function table(results: readonly Result[]): string {
  const rows: string[][] = [
    [...COLUMNS],
    ...results.map((result) => [
      result.case,
      result.metric,
      digits(result.median),
      digits(result.min),
      digits(result.max),
      result.unit,
      String(result.runs),
    ]),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const isNumber = (column: number) => ['median', 'min', 'max', 'runs'].includes(COLUMNS[column]);
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
