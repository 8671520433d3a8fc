// The loss section of a diffusion stage, as the objective takes it.
import type {ObjectiveSection} from '../../src/config/objective.ts';
import type {Weighting} from '../../src/diffusion/index.ts';

export function weightingOf({weighting, minSnrGamma}: ObjectiveSection): Weighting {
  return weighting === 'uniform' ? {kind: 'uniform'} : {kind: 'min_snr', gamma: minSnrGamma};
}
