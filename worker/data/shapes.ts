// The pictures of the embedded dataset: ten shapes, drawn with soft edges over a textured background.
// Position, size, rotation, colours, texture and noise are drawn by key for each record, so that a record
// depends on nothing but the seed, its split and its index. Colour and brightness say nothing about the
// class: the shape may be lighter or darker than what is behind it.
// Only exactly rounded arithmetic (+ − × ÷ √) is used, so that every machine draws the same bytes.
import { type KeyedRandom, keyedRandom } from '../../shared/random.js';

export const SIDE = 32;
export const SHAPES = [
  'disc',
  'square',
  'triangle',
  'cross',
  'ring',
  'star',
  'crescent',
  'hourglass',
  'arrow',
  'corner',
] as const;

/** How much the pictures of one class differ; chosen so that a linear model fails and a small CNN does not. */
const ROTATION_MAX_RADIANS = 0.45;
const SHIFT_MAX_PIXELS = 2.5;
const RADIUS_PIXELS = { min: 8, max: 11 };
const CONTRAST_MIN = 60;
const NOISE_SPREAD = 22;
const NOISE_TABLE_SIZE = 1 << 16;

type Point = readonly [number, number];

/** Corners of the shapes that are polygons, in a frame of radius 1, y downwards. */
const POLYGONS: Partial<Record<(typeof SHAPES)[number], readonly Point[]>> = {
  square: [
    [-0.75, -0.75],
    [0.75, -0.75],
    [0.75, 0.75],
    [-0.75, 0.75],
  ],
  triangle: [
    [0, -1],
    [0.95, 0.75],
    [-0.95, 0.75],
  ],
  cross: [
    [-0.3, -1],
    [0.3, -1],
    [0.3, -0.3],
    [1, -0.3],
    [1, 0.3],
    [0.3, 0.3],
    [0.3, 1],
    [-0.3, 1],
    [-0.3, 0.3],
    [-1, 0.3],
    [-1, -0.3],
    [-0.3, -0.3],
  ],
  star: [
    [0, -1.05],
    [0.26, -0.36],
    [1, -0.32],
    [0.42, 0.14],
    [0.62, 0.85],
    [0, 0.44],
    [-0.62, 0.85],
    [-0.42, 0.14],
    [-1, -0.32],
    [-0.26, -0.36],
  ],
  hourglass: [
    [-0.8, -0.95],
    [0.8, -0.95],
    [0.12, 0],
    [0.8, 0.95],
    [-0.8, 0.95],
    [-0.12, 0],
  ],
  arrow: [
    [0, -1],
    [0.9, -0.05],
    [0.32, -0.05],
    [0.32, 1],
    [-0.32, 1],
    [-0.32, -0.05],
    [-0.9, -0.05],
  ],
  corner: [
    [-0.8, -0.95],
    [-0.2, -0.95],
    [-0.2, 0.35],
    [0.9, 0.35],
    [0.9, 0.95],
    [-0.8, 0.95],
  ],
};

/** Signed distance to a polygon, negative inside (even–odd rule for the sign, nearest edge for the size). */
function polygonDistance(corners: readonly Point[], x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const ax = corners[i][0];
    const ay = corners[i][1];
    const bx = corners[j][0];
    const by = corners[j][1];
    const ex = bx - ax;
    const ey = by - ay;
    const px = x - ax;
    const py = y - ay;
    const along = Math.min(1, Math.max(0, (px * ex + py * ey) / (ex * ex + ey * ey)));
    const dx = px - ex * along;
    const dy = py - ey * along;
    nearest = Math.min(nearest, dx * dx + dy * dy);
    if (ay > y !== by > y && x < (ex * (y - ay)) / ey + ax) inside = !inside;
  }
  return inside ? -Math.sqrt(nearest) : Math.sqrt(nearest);
}

/** Signed distance to a shape's edge at a point of its own frame, negative inside. */
function distance(shape: number, x: number, y: number): number {
  const name = SHAPES[shape];
  const corners = POLYGONS[name];
  if (corners) return polygonDistance(corners, x, y);
  const fromCentre = Math.sqrt(x * x + y * y);
  if (name === 'disc') return fromCentre - 0.85;
  if (name === 'ring') return Math.abs(fromCentre - 0.72) - 0.22;
  const bite = Math.sqrt((x - 0.5) * (x - 0.5) + y * y) - 0.75;
  return Math.max(fromCentre - 0.98, -bite);
}

/** Sine of a small angle by its series: within 1e-6 for |angle| ≤ 0.8, and the same bits everywhere. */
function sine(angle: number): number {
  const square = angle * angle;
  return angle * (1 - (square / 6) * (1 - (square / 20) * (1 - square / 42)));
}

/** A wave between −1 and 1 with period 1, made of straight lines. */
function triangleWave(phase: number): number {
  return 4 * Math.abs(phase - Math.floor(phase + 0.5)) - 1;
}

const between = (random: KeyedRandom, min: number, max: number): number => min + (max - min) * random.float();
const colour = (random: KeyedRandom): number[] => [0, 1, 2].map(() => between(random, 0, 255));
const luminance = (c: readonly number[]): number => 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2];

/** Noise of about a bell's shape (the sum of four bytes), drawn once and read at random places. */
export function noiseTable(seed: number): Float32Array {
  const random = keyedRandom(seed, 'noise');
  const table = new Float32Array(NOISE_TABLE_SIZE);
  for (let i = 0; i < table.length; i++) {
    const word = random.uint32();
    const sum = (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24);
    table[i] = ((sum - 510) / 147.8) * NOISE_SPREAD;
  }
  return table;
}

/** Two colours for a shape and two for what is behind it, apart enough in brightness to be told. */
function pickColours(random: KeyedRandom): { front: number[]; behind: number[][] } {
  for (;;) {
    const front = colour(random);
    const behind = [colour(random), colour(random)];
    const light = luminance(front);
    const [a, b] = behind.map(luminance);
    const apart = Math.min(Math.abs(light - a), Math.abs(light - b));
    if (apart >= CONTRAST_MIN && light > a === light > b) return { front, behind };
  }
}

/**
 * Draws one record: planar red, green, blue, each 32 × 32 row by row, into `pixels` (3072 bytes).
 * @param shape the class, an index into SHAPES
 * @param table from `noiseTable` of the same seed
 */
export function drawShape(
  pixels: Uint8Array,
  seed: number,
  split: string,
  index: number,
  shape: number,
  table: Float32Array,
): void {
  const random = keyedRandom(seed, split, index);
  const { front, behind } = pickColours(random);
  const radius = between(random, RADIUS_PIXELS.min, RADIUS_PIXELS.max);
  const centreX = (SIDE - 1) / 2 + between(random, -SHIFT_MAX_PIXELS, SHIFT_MAX_PIXELS);
  const centreY = (SIDE - 1) / 2 + between(random, -SHIFT_MAX_PIXELS, SHIFT_MAX_PIXELS);
  const sin = sine(between(random, -ROTATION_MAX_RADIANS, ROTATION_MAX_RADIANS));
  const cos = Math.sqrt(1 - sin * sin);
  const waveX = between(random, -0.14, 0.14);
  const waveY = between(random, -0.14, 0.14);
  const crossX = between(random, -0.25, 0.25);
  const crossY = between(random, -0.25, 0.25);
  const phase = random.float();
  const shade = between(random, -1.2, 1.2);
  const offsets = [
    random.below(NOISE_TABLE_SIZE),
    random.below(NOISE_TABLE_SIZE),
    random.below(NOISE_TABLE_SIZE),
  ];
  const plane = SIDE * SIDE;
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const dx = (x - centreX) / radius;
      const dy = (y - centreY) / radius;
      const edge = distance(shape, cos * dx + sin * dy, cos * dy - sin * dx) * radius;
      const cover = Math.min(1, Math.max(0, 0.5 - edge));
      const texture =
        triangleWave(x * waveX + y * waveY + phase) + 0.6 * triangleWave(x * crossX + y * crossY);
      const mix = Math.min(1, Math.max(0, 0.5 + 0.35 * texture));
      const shading = shade * (y - SIDE / 2);
      const at = y * SIDE + x;
      for (let channel = 0; channel < 3; channel++) {
        const back = behind[0][channel] * mix + behind[1][channel] * (1 - mix) + shading;
        const noise = table[(offsets[channel] + at) & (NOISE_TABLE_SIZE - 1)];
        const value = Math.floor(front[channel] * cover + back * (1 - cover) + noise + 0.5);
        pixels[channel * plane + at] = Math.min(255, Math.max(0, value));
      }
    }
  }
}
