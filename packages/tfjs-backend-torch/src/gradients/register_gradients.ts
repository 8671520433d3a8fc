// Gradients that TensorFlow.js lacks, or that it computes through host arrays. They serve every backend.
import {type GradConfig, registerGradient} from '@tensorflow/tfjs-core';

const gradients: readonly GradConfig[] = [];

export function registerGradients(): void {
  for (const config of gradients) registerGradient(config);
}
