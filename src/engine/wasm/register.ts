// The kernels supplied to TensorFlow.js's wasm backend: those that training needs and it lacks, faster ones in the place of its
// own, and the fused ones of src/ops/kernel_contracts.ts.
import * as tf from '../../tf.ts';
import {supplyAdamW} from './adamw.ts';
import {supplyAlphaMix} from './alpha_mix.ts';
import {supplyConv2D} from './conv2d.ts';
import {supplyConv3D} from './conv3d.ts';
import {supplyGroupNorm} from './group_norm.ts';
import {supplyLayerNorm} from './layer_norm.ts';
import {supplyMatMul} from './matmul.ts';
import {supplyGeglu, supplyPointwise} from './pointwise.ts';
import {supplyTemporalAttention} from './temporal_attention.ts';
import {supplyUnsortedSegmentSum} from './unsorted_segment_sum.ts';

/** Registers them; once per process. */
export function supplyWasmKernels(): void {
  if (tf.getKernel('ColumnSum', 'wasm')) return;
  supplyMatMul();
  supplyConv2D();
  supplyConv3D();
  supplyUnsortedSegmentSum();
  supplyGroupNorm();
  supplyLayerNorm();
  supplyPointwise();
  supplyGeglu();
  supplyAlphaMix();
  supplyTemporalAttention();
  supplyAdamW();
}
