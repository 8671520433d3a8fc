// Captured steps on engines that cannot record them: the step runs each time, under the same rules for inputs and outputs.
import {captured, type Recorder} from 'tfjs-backend-torch/captured';
import type {Engine} from './engine.ts';

const runs: Recorder = {warmUp: 0, guarded: step => step()};

export const runEachTime: Engine['capture'] = step => captured(step, runs);
