// Functions whose kernels cannot be called alone: complex values exist only between kernels.
import * as tf from '../../src/tf.ts';
import {type Given, normal} from './support.ts';

export interface FunctionCase {
  readonly kernels: readonly string[];
  readonly note?: string;
  readonly inputs: Given;
  readonly within?: number;
  fn(inputs: Record<string, tf.Tensor>): tf.Tensor | Record<string, tf.Tensor>;
}

const pair = {re: normal(3, 7), im: normal(3, 7)};

export const complexCases: readonly FunctionCase[] = [
  {
    kernels: ['Complex', 'Real', 'Imag'],
    inputs: pair,
    fn: ({re, im}) => {
      const z = tf.complex(re!, im!);
      return {x: tf.real(z), y: tf.imag(z)};
    },
  },
  {kernels: ['ComplexAbs'], inputs: pair, fn: ({re, im}) => tf.abs(tf.complex(re!, im!))},
  ...(['fft', 'ifft'] as const).map(name => ({
    kernels: [name.toUpperCase()],
    inputs: pair,
    within: 1e-5,
    fn: ({re, im}: Record<string, tf.Tensor>) => {
      const z = tf.spectral[name](tf.complex(re!, im!));
      return {x: tf.real(z), y: tf.imag(z)};
    },
  })),
];

export const fusedCases: readonly FunctionCase[] = [];
