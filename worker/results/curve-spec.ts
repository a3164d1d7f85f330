// How the picture of the loss curve looks: a vega specification of two panels over one axis of steps.
// Training is a blue line, the test set orange with points, so that the colour is not all that tells them apart.
import type { CurveData } from './curve-data.js';
import type { Bin } from './thin.js';

const WIDTH = 720;
const LOSS_HEIGHT = 230;
const ACCURACY_HEIGHT = 150;
const GAP = 30;
const TRAIN = '#2563eb';
const TEST = '#c2410c';
const INK = '#1f2937';
const FAINT = '#6b7280';
const GRID = '#e5e7eb';
const FONT = 'Inter, "Helvetica Neue", Helvetica, Arial, sans-serif';

/** More test points than this are drawn as a line alone, more epochs without lines between them. */
const MARKERS_MAX = 60;

type Series = 'trainLoss' | 'smoothLoss' | 'testLoss' | 'trainAccuracy' | 'testAccuracy';
type Scale = 'loss' | 'accuracy';

/** The specification, for `vega.parse`; where the job has no accuracy there is only the panel of the loss. */
export function curveSpec(data: CurveData, title: string, subtitle: string): object {
  const hasAccuracy = data.trainAccuracy.length + data.testAccuracy.length > 0;
  const series: Series[] = ['trainLoss', 'smoothLoss', 'testLoss', 'trainAccuracy', 'testAccuracy'];
  const ends = data.epochEnds.length <= MARKERS_MAX ? data.epochEnds.slice(0, -1) : [];
  return {
    width: WIDTH,
    height: hasAccuracy ? LOSS_HEIGHT + GAP + ACCURACY_HEIGHT : LOSS_HEIGHT,
    padding: 18,
    autosize: 'pad',
    background: 'white',
    config: style(),
    title: { text: title, subtitle, anchor: 'start', frame: 'group', offset: 22 },
    data: [...series.map((name) => ({ name, values: data[name] })), { name: 'epochEnds', values: ends }],
    scales: [
      { name: 'x', type: 'linear', domain: [0, lastStep(data)], range: [0, WIDTH] },
      { name: 'loss', type: 'linear', domain: lossDomain(data), range: [LOSS_HEIGHT, 0], nice: 5 },
      { name: 'accuracy', type: 'linear', domain: [0, 1], range: [ACCURACY_HEIGHT, 0] },
    ],
    marks: [
      ...legend(data),
      panel('loss', 0, LOSS_HEIGHT, !hasAccuracy, [
        line('trainLoss', 'loss', TRAIN, 0.8, 0.3),
        line('smoothLoss', 'loss', TRAIN, 2, 1),
        ...testMarks('testLoss', 'loss', data.testLoss),
      ]),
      ...(hasAccuracy
        ? [
            panel('accuracy', LOSS_HEIGHT + GAP, ACCURACY_HEIGHT, true, [
              line('trainAccuracy', 'accuracy', TRAIN, 2, 1),
              ...testMarks('testAccuracy', 'accuracy', data.testAccuracy),
            ]),
          ]
        : []),
    ],
  };
}

/** From 0 (or the least, where a loss is negative) to the greatest, but for spikes, which leave the panel. */
function lossDomain({ trainLoss, smoothLoss, testLoss }: CurveData): [number, number] {
  const raw = trainLoss.map(({ mean }) => mean).sort((a, b) => a - b);
  const shown = [...smoothLoss, ...testLoss].map(({ mean }) => mean);
  const usual = raw.length === 0 ? [] : [raw[0], raw[Math.ceil((raw.length - 1) * 0.995)]];
  const most = [...shown, ...usual].reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const least = [...shown, ...usual].reduce((a, b) => Math.min(a, b), 0);
  return most > least ? [least, most] : [least, least + 1];
}

function lastStep({ trainLoss, testLoss, epochEnds }: CurveData): number {
  return Math.max(1, trainLoss.at(-1)?.x ?? 0, testLoss.at(-1)?.x ?? 0, epochEnds.at(-1)?.step ?? 0);
}

function style(): object {
  return {
    title: {
      font: FONT,
      fontSize: 17,
      fontWeight: 600,
      color: INK,
      subtitleFont: FONT,
      subtitleFontSize: 12,
      subtitleColor: FAINT,
      subtitlePadding: 5,
    },
    axis: {
      labelFont: FONT,
      titleFont: FONT,
      labelFontSize: 11,
      titleFontSize: 12,
      titleFontWeight: 500,
      labelColor: FAINT,
      titleColor: INK,
      gridColor: GRID,
      domainColor: FAINT,
      tickColor: FAINT,
      titlePadding: 10,
    },
    text: { font: FONT },
  };
}

/** What the lines are, in the corner above the panels. */
function legend({ testLoss, testAccuracy }: CurveData): object[] {
  const entries = [{ text: 'training', colour: TRAIN, right: 92 }];
  if (testLoss.length + testAccuracy.length > 0) {
    entries[0].right += 82;
    entries.push({ text: 'test set', colour: TEST, right: 74 });
  }
  return entries.flatMap(({ text, colour, right }) => [
    {
      type: 'rule',
      encode: {
        enter: {
          x: { value: WIDTH - right },
          x2: { value: WIDTH - right + 20 },
          y: { value: -16 },
          stroke: { value: colour },
          strokeWidth: { value: 2 },
        },
      },
    },
    ...(colour === TEST ? [dot({ x: { value: WIDTH - right + 10 }, y: { value: -16 } })] : []),
    label(text, INK, { x: { value: WIDTH - right + 27 }, y: { value: -16 }, baseline: { value: 'middle' } }),
  ]);
}

function panel(scale: Scale, y: number, height: number, last: boolean, marks: object[]): object {
  const format =
    scale === 'accuracy' ? { title: 'Accuracy', format: '.0%', tickCount: 4 } : { title: 'Loss' };
  const left = {
    orient: 'left',
    scale,
    grid: true,
    domain: false,
    ticks: false,
    labelPadding: 7,
    tickCount: 5,
  };
  const below = { orient: 'bottom', scale: 'x', tickCount: 8, tickMinStep: 1, format: ',d', tickSize: 4 };
  return {
    type: 'group',
    encode: { enter: { y: { value: y }, width: { value: WIDTH }, height: { value: height } } },
    axes: [
      { ...left, ...format, minExtent: 36 },
      last ? { ...below, title: 'Step' } : { ...below, labels: false },
    ],
    marks: [epochLines(height), ...marks],
  };
}

function epochLines(height: number): object {
  return {
    type: 'rule',
    from: { data: 'epochEnds' },
    encode: {
      enter: {
        x: { scale: 'x', field: 'step' },
        y: { value: 0 },
        y2: { value: height },
        stroke: { value: '#d1d5db' },
        strokeDash: { value: [3, 3] },
      },
    },
  };
}

const position = (scale: Scale): object => ({
  x: { scale: 'x', field: 'x' },
  y: { scale, field: 'mean' },
});

/** A line, cut off where it leaves its panel. */
function line(data: Series, scale: Scale, colour: string, width: number, opacity: number): object {
  return {
    type: 'group',
    clip: true,
    encode: {
      enter: { width: { value: WIDTH }, height: { value: scale === 'loss' ? LOSS_HEIGHT : ACCURACY_HEIGHT } },
    },
    marks: [
      {
        type: 'line',
        from: { data },
        encode: {
          enter: {
            ...position(scale),
            stroke: { value: colour },
            strokeWidth: { value: width },
            strokeOpacity: { value: opacity },
            strokeJoin: { value: 'round' },
          },
        },
      },
    ],
  };
}

/** The test set's line and points, with the last value written at its point. */
function testMarks(data: Series, scale: Scale, bins: readonly Bin[]): object[] {
  const last = bins.at(-1);
  if (!last) return [];
  const text = scale === 'accuracy' ? `${(last.mean * 100).toFixed(1)}%` : last.mean.toPrecision(3);
  // Loss falls and accuracy rises, so that there is room above the one and below the other.
  const above = scale === 'loss' || last.mean < 0.5;
  return [
    line(data, scale, TEST, 1.5, 1),
    ...(bins.length <= MARKERS_MAX ? [dot(position(scale), data)] : []),
    label(text, TEST, {
      x: { value: WIDTH },
      y: { scale, value: last.mean, offset: above ? -9 : 9 },
      align: { value: 'right' },
      baseline: { value: above ? 'bottom' : 'top' },
      fontWeight: { value: 600 },
    }),
  ];
}

function dot(place: object, data?: Series): object {
  return {
    type: 'symbol',
    ...(data ? { from: { data } } : {}),
    encode: {
      enter: {
        ...place,
        fill: { value: TEST },
        stroke: { value: 'white' },
        strokeWidth: { value: 1.2 },
        size: { value: 44 },
      },
    },
  };
}

function label(text: string, colour: string, rest: object): object {
  return {
    type: 'text',
    encode: { enter: { text: { value: text }, fill: { value: colour }, fontSize: { value: 12 }, ...rest } },
  };
}
