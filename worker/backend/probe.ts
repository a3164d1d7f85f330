// Whether a backend computes at all: a small product and its gradient, read back and compared with known numbers. A
// driver that loads but has no device, or computes nonsense, is found out here and not in the middle of a run.
import {
  grads,
  matMul,
  mean,
  square,
  type Tensor,
  type Tensor2D,
  tensor2d,
  tidy,
} from '@tensorflow/tfjs-core';
// Registers the gradients, which tfjs-core alone does not have in Node.
import '@tensorflow/tfjs-layers';

const TOLERANCE = 1e-4;

async function differs(result: Tensor, expected: number[]): Promise<boolean> {
  const values = await result.data();
  return expected.some((value, i) => !(Math.abs(values[i] - value) <= TOLERANCE));
}

/**
 * Runs mean((A B)^2) and its gradients on the current backend.
 * @throws an error that says what came out wrong
 */
export async function probeCurrent(): Promise<void> {
  const [product, gradientA, gradientB] = tidy(() => {
    const a = tensor2d([1, -2, 3, 4, 0.5, -1], [2, 3]);
    const b = tensor2d([2, 1, -1, 3, 0.5, -2], [3, 2]);
    const loss = (x: Tensor, y: Tensor) => mean(square(matMul(x as Tensor2D, y as Tensor2D)));
    return [matMul(a, b), ...grads(loss as (...args: Tensor[]) => Tensor)([a, b])];
  });
  try {
    // A B = [[5.5, -11], [7, 7.5]]; the gradients are (A B) B^T / 2 and A^T (A B) / 2.
    const wrong =
      (await differs(product, [5.5, -11, 7, 7.5])) ||
      (await differs(gradientA, [0, -19.25, 12.375, 10.75, 7.75, -5.75])) ||
      (await differs(gradientB, [16.75, 9.5, -3.75, 12.875, 4.75, -20.25]));
    if (wrong) throw new Error('a small matrix product or its gradient came out wrong');
  } finally {
    for (const tensor of [product, gradientA, gradientB]) tensor.dispose();
  }
}
