// Whether a tensor of a file can hold a weight.
import type {WeightSpec} from '../../layers/block.ts';
import {torchShape} from '../layouts.ts';

/** Equal shapes, or a matrix where files differ in writing [o,i] or [o,i,1,1]. */
export function holds({shape, layout}: Pick<WeightSpec, 'shape' | 'layout'>, fileShape: readonly number[]): boolean {
  const own = torchShape(shape, layout);
  const same = (a: readonly number[], b: readonly number[]) =>
    a.length === b.length && a.every((size, i) => size === b[i]);
  if (same(own, fileShape)) return true;
  const matrix = (sizes: readonly number[]) => sizes.length >= 2 && sizes.slice(2).every(size => size === 1);
  return matrix(own) && matrix(fileShape) && same(own.slice(0, 2), fileShape.slice(0, 2));
}
