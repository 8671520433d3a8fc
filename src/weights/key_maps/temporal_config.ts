// The config.json beside temporal weights saved apart: our TemporalConfig as it is, checked as a file from elsewhere.
import type {TemporalConfig} from '../../models/index.ts';
import {UserError} from '../../platform/user_error.ts';
import type {Json} from '../json_file.ts';

export const temporalClassName = 'VideoLdmTemporalLayers';

/** @throws UserError naming the key that is not as `temporalToJson` writes it. */
export function temporalFromJson(json: Json, label: string): TemporalConfig {
  const refuse = (key: string, expected: string, value: unknown): never => {
    throw new UserError(`${label}: "${key}" must be ${expected}, got ${JSON.stringify(value)}.`);
  };
  const flag = (key: string): boolean => {
    const value = json[key];
    return typeof value === 'boolean' ? value : refuse(key, 'true or false', value);
  };
  const count = (key: string, value: unknown): number =>
    typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 2 ** 20
      ? value
      : refuse(key, 'a whole number from 1', value);
  const given = json.given;
  return {
    conv: flag('conv'),
    attention: flag('attention'),
    kernel: kernelOf(json.kernel) ?? refuse('kernel', '[3,1,1] or [3,3,3]', json.kernel),
    alpha: alphaOf(json.alpha, refuse),
    ...(json.window === undefined ? {} : {window: count('window', json.window)}),
    ...(json.contextDim === undefined ? {} : {contextDim: count('contextDim', json.contextDim)}),
    ...(isObject(given)
      ? {
          given: {
            inputs: count('given.inputs', given.inputs),
            ...(given.channels === undefined ? {} : {channels: count('given.channels', given.channels)}),
          },
        }
      : {}),
  };
}

export function temporalToJson(config: TemporalConfig): Json {
  return {_class_name: temporalClassName, ...config};
}

function kernelOf(value: unknown): TemporalConfig['kernel'] | undefined {
  const text = Array.isArray(value) ? value.join() : '';
  return text === '3,1,1' ? [3, 1, 1] : text === '3,3,3' ? [3, 3, 3] : undefined;
}

function alphaOf(
  value: unknown,
  refuse: (key: string, expected: string, value: unknown) => never,
): TemporalConfig['alpha'] {
  if (!isObject(value)) return refuse('alpha', 'an object', value);
  const {kind, init, per, frames} = value;
  if (kind !== 'learned' && kind !== 'fixed') return refuse('alpha.kind', 'learned or fixed', kind);
  if (per !== 'layer' && per !== 'frame') return refuse('alpha.per', 'layer or frame', per);
  if (typeof init !== 'number' || !Number.isFinite(init)) return refuse('alpha.init', 'a number', init);
  if (frames !== undefined && (typeof frames !== 'number' || !Number.isInteger(frames) || frames < 1))
    return refuse('alpha.frames', 'a whole number', frames);
  return {kind, init, per, ...(frames === undefined ? {} : {frames})};
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
