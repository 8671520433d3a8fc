// The shapes of a batched matrix product: batches joined to one axis for the addon, broadcast for the result.
import {broadcast_util} from '@tensorflow/tfjs-core';

export interface MatmulShapes {
  /** Of both sides and the result, for the addon: [batch, rows, columns] where that is possible. */
  left: number[];
  right: number[];
  flat: number[];
  /** The result's shape for TensorFlow.js. */
  shape: number[];
}

const product = (sizes: readonly number[]) => sizes.reduce((result, size) => result * size, 1);

export function matmulShapes(a: number[], b: number[], transposeA: boolean, transposeB: boolean): MatmulShapes {
  const [rowsA, columnsA] = a.slice(-2) as [number, number];
  const [rowsB, columnsB] = b.slice(-2) as [number, number];
  const inner = transposeA ? rowsA : columnsA;
  const otherInner = transposeB ? columnsB : rowsB;
  if (inner !== otherInner) {
    throw new Error(
      `inner shapes (${inner}) and (${otherInner}) of the shapes ${a} and ${b} and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
    );
  }
  const [batchA, batchB] = [a.slice(0, -2), b.slice(0, -2)];
  const batch = broadcast_util.assertAndGetBroadcastShape(batchA, batchB);
  const [m, n] = [transposeA ? columnsA : rowsA, transposeB ? rowsB : columnsB];
  const [sizeA, sizeB] = [product(batchA), product(batchB)];
  const shape = [...batch, m, n];
  // Batches that broadcast axis by axis are left to the addon as they are.
  if (sizeA !== 1 && sizeB !== 1 && batchA.join() !== batchB.join()) return {left: a, right: b, flat: shape, shape};
  return {
    left: [sizeA, rowsA, columnsA],
    right: [sizeB, rowsB, columnsB],
    flat: [sizeA === 1 ? sizeB : sizeA, m, n],
    shape,
  };
}
