// Einsum. The gradient of one operand is the einsum of dy with the others, over the operand's own labels; labels that occur
// in that operand alone were summed, so dy is repeated along them.
import {einsum, type GradConfig, reshape, type Tensor, tile} from '@tensorflow/tfjs-core';

export const einsumGradient: GradConfig = {
  kernelName: 'Einsum',
  saveAllInputs: true,
  gradFunc: (dy, saved, attrs) => {
    const [terms, result] = (attrs.equation as string).replace(/\s/g, '').split('->') as [string, string];
    const labels = terms.split(',');
    const gradients: Record<string, () => Tensor> = {};
    labels.forEach((own, i) => {
      gradients[i] = () => {
        const others = labels.filter((_, j) => j !== i);
        const known = new Set([...result, ...others.join('')]);
        const present = [...own].filter(label => known.has(label)).join('');
        const operands = [dy as Tensor, ...saved.filter((_, j) => j !== i)];
        const partial = einsum(`${[result, ...others].join(',')}->${present}`, ...operands);
        if (present === own) return partial;
        const {shape} = saved[i]!;
        const kept = shape.map((extent, axis) => (known.has(own[axis]!) ? extent : 1));
        return tile(
          reshape(partial, kept),
          shape.map((extent, axis) => extent / kept[axis]!),
        );
      };
    });
    return gradients;
  },
};
