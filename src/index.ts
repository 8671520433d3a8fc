export * as tf from './tf.ts';
