// Declares tests that need network namespaces. Apart from network-namespaces.ts, which benches use too.
import test, { type Implementation } from 'ava';
import { namespacesMissing } from './network-namespaces.js';

/** Declares a test that needs network namespaces: run where they are permitted, else skipped visibly. */
export function namespacesTest(title: string, implementation: Implementation<[]>): void {
  const missing = namespacesMissing();
  if (missing === undefined) test.serial(title, implementation);
  else test.serial.skip(`${title} [skipped: ${missing}]`, implementation);
}
