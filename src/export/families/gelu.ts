// The activations of src/ops.
import type {Emitter} from '../emitter.ts';

/** x * Phi(x): the Gelu operator from opset 20, before it by Erf in the form that runtimes recognise. */
export function gelu(e: Emitter, x: string): string {
  if (e.opset >= 20) return e.op('Gelu', [x]);
  const erf = e.op('Erf', [e.op('Div', [x, e.build.scalar(Math.SQRT2)])]);
  return e.op('Mul', [e.op('Mul', [x, e.op('Add', [erf, e.build.scalar(1)])]), e.build.scalar(0.5)]);
}

export function activation(e: Emitter, kind: string, x: string): string {
  switch (kind) {
    case 'silu':
      return e.op('Mul', [x, e.op('Sigmoid', [x])]);
    case 'gelu':
      return gelu(e, x);
    case 'quickGelu':
      return e.op('Mul', [x, e.op('Sigmoid', [e.op('Mul', [x, e.build.scalar(1.702)])])]);
    default:
      throw new Error(`Activation "${kind}" is not known.`);
  }
}
