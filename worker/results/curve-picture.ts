// The loss curve as a picture: loss above, accuracy below, over the steps of the run.
// The data come thinned (curve-data.ts), the looks from curve-spec.ts; vega draws.
// The SVG stands on a white ground of its own and needs no fonts, scripts or network.
import type { Spec } from 'vega';
import { writeFileAtomic } from '../../shared/atomic-file.js';
import { loadCurve } from './curve-data.js';
import { curveSpec } from './curve-spec.js';

/** Draws the CSV into an SVG file. */
export async function drawCurve(csv: string, svg: string, title: string, subtitle: string): Promise<void> {
  // Hundreds of modules that only the end of a run needs.
  const { parse, View } = await import('vega');
  const spec = curveSpec(await loadCurve(csv), title, subtitle);
  const view = new View(parse(spec as Spec), { renderer: 'none' });
  try {
    await writeFileAtomic(svg, [await view.toSVG()]);
  } finally {
    view.finalize();
  }
}
