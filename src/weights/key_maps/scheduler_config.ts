// diffusers' scheduler_config.json <-> our noise schedule and the target of the network.
import type {Prediction, ScheduleConfig, ScheduleKind} from '../../diffusion/index.ts';
import {UserError} from '../../platform/user_error.ts';

/** What a diffusion model must be told beside its weights. */
export interface DiffusionSettings {
  readonly schedule: ScheduleConfig;
  readonly prediction: Prediction;
}

type Json = Readonly<Record<string, unknown>>;

const kinds: Readonly<Record<string, ScheduleKind>> = {linear: 'linear', scaled_linear: 'scaled_linear'};
const predictions: Readonly<Record<string, Prediction>> = {epsilon: 'eps', v_prediction: 'v'};

/**
 * A scheduler's configuration. `prediction` overrides what the file says, or does not say.
 * @throws UserError for a schedule or a target that is not known here.
 */
export function diffusionFromDiffusers(config: Json, label: string, prediction?: Prediction): DiffusionSettings {
  const refuse = (key: string, expected: string): never => {
    throw new UserError(`${label}: "${key}" must be ${expected}, got ${JSON.stringify(config[key])}.`);
  };
  const beta = (key: string) => {
    const value = config[key];
    return typeof value === 'number' && value > 0 && value < 1 ? value : refuse(key, 'a number between 0 and 1');
  };
  const kind = kinds[String(config.beta_schedule)] ?? refuse('beta_schedule', Object.keys(kinds).join(' or '));
  const steps = config.num_train_timesteps ?? 1000;
  if (typeof steps !== 'number' || !Number.isInteger(steps) || steps < 2)
    return refuse('num_train_timesteps', 'a number of steps');
  const target =
    prediction ??
    predictions[String(config.prediction_type ?? 'epsilon')] ??
    refuse('prediction_type', Object.keys(predictions).join(' or '));
  return {
    schedule: {
      kind,
      betaStart: beta('beta_start'),
      betaEnd: beta('beta_end'),
      steps,
      zeroTerminalSnr: config.rescale_betas_zero_snr === true,
    },
    prediction: target,
  };
}

/** The same as a DDIM scheduler's configuration, as Stable Diffusion's folders have it. */
export function diffusionToDiffusers({schedule, prediction}: DiffusionSettings): Json {
  const {kind, betaStart, betaEnd, steps = 1000, zeroTerminalSnr = false} = schedule;
  return {
    _class_name: 'DDIMScheduler',
    beta_end: betaEnd,
    beta_schedule: kind,
    beta_start: betaStart,
    clip_sample: false,
    num_train_timesteps: steps,
    prediction_type: prediction === 'v' ? 'v_prediction' : 'epsilon',
    rescale_betas_zero_snr: zeroTerminalSnr,
    set_alpha_to_one: false,
    steps_offset: 1,
    timestep_spacing: 'leading',
  };
}
