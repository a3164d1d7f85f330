// The queries of a Grafana dashboard, as Prometheus would get them.
import { readFile } from 'node:fs/promises';

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; legendFormat: string; refId: string }[];
  fieldConfig?: { defaults: { unit?: string } };
}

export interface Dashboard {
  uid: string;
  title: string;
  panels: Panel[];
  templating: { list: { name: string; type: string; query: string | { query: string } }[] };
}

/** The dashboard for training, from the repository (tests run in its root). */
export async function trainingDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile('deploy/grafana/dashboards/training.json', 'utf8'));
}

/** Every query of the panels, with the title of its panel. */
export function queriesOf(dashboard: Dashboard): { panel: string; expression: string; legend: string }[] {
  return dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ panel: title, expression: expr, legend: legendFormat })),
  );
}

/**
 * Puts values in the place of Grafana's variables; all runs and instances unless told otherwise.
 * @param rateInterval what `$__rate_interval` stands for, e.g. `1m`
 */
export function substitute(expression: string, rateInterval: string, run = '.*', instance = '.*'): string {
  const filled = expression
    .replaceAll('$__rate_interval', rateInterval)
    .replaceAll('$run', run)
    .replaceAll('$instance', instance);
  const left = /\$\w+/.exec(filled);
  if (left) throw new Error(`the variable ${left[0]} is unknown in: ${expression}`);
  return filled;
}
