// What changed between the configuration a checkpoint was written with and today's, and whether it may.
import {UserError} from '../src/platform/user_error.ts';
import type {JsonValue} from './train_state.ts';

/** The first rule that matches a changed field decides; a field that none matches may not change. */
export interface ConfigRule {
  /** Dotted path; `*` stands for one key, a final `**` for any number. */
  path: string;
  change: 'allowed' | 'refused';
  /** Why it may not change, for the message: "the weights would not fit". */
  why?: string;
}

export interface ConfigChange {
  /** Dotted path of the field. */
  path: string;
  /** Undefined where the field was not there. */
  saved: JsonValue | undefined;
  now: JsonValue | undefined;
}

export interface ConfigComparison {
  /** To be logged. */
  allowed: ConfigChange[];
  refused: (ConfigChange & {why?: string})[];
}

/** Compares two configurations field by field; a list is one field. */
export function compareConfigs(saved: JsonValue, now: JsonValue, rules: readonly ConfigRule[]): ConfigComparison {
  const comparison: ConfigComparison = {allowed: [], refused: []};
  for (const change of changes('', saved, now)) {
    const rule = rules.find(({path}) => matches(path.split('.'), change.path.split('.')));
    if (rule?.change === 'allowed') comparison.allowed.push(change);
    else comparison.refused.push({...change, ...(rule?.why === undefined ? {} : {why: rule.why})});
  }
  return comparison;
}

/** One change in one line: `train.steps: 100 -> 200`. */
export function describeChange({path, saved, now}: ConfigChange): string {
  const text = (value: JsonValue | undefined) => (value === undefined ? '(absent)' : JSON.stringify(value));
  return `${path}: ${text(saved)} -> ${text(now)}`;
}

/** @throws UserError naming every field that may not change, and what to do. */
export function refuseChanges({refused}: ConfigComparison, checkpoint: string): void {
  if (refused.length === 0) return;
  const fields = refused.map(change => `${describeChange(change)}${change.why ? ` (${change.why})` : ''}`).join('; ');
  throw new UserError(
    `${checkpoint} cannot be resumed with another ${fields}: restore ${refused.length === 1 ? 'this field' : 'these fields'}, or train into another run folder.`,
  );
}

function* changes(path: string, saved: JsonValue | undefined, now: JsonValue | undefined): Generator<ConfigChange> {
  if (isObject(saved) ? now === undefined || isObject(now) : saved === undefined && isObject(now)) {
    const [before, after] = [isObject(saved) ? saved : {}, isObject(now) ? now : {}];
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const own = (object: {readonly [key: string]: JsonValue}) =>
        Object.hasOwn(object, key) ? object[key] : undefined;
      yield* changes(path === '' ? key : `${path}.${key}`, own(before), own(after));
    }
  } else if (JSON.stringify(sorted(saved)) !== JSON.stringify(sorted(now))) {
    yield {path, saved, now};
  }
}

/** The same value with the keys of objects in order, so that order alone is no change. */
function sorted(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) return value.map(item => sorted(item) ?? null);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, sorted(value[key]) ?? null]),
  );
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  for (const [i, part] of pattern.entries()) {
    if (part === '**') return true;
    if (i >= path.length || (part !== '*' && part !== path[i])) return false;
  }
  return pattern.length === path.length;
}

function isObject(value: JsonValue | undefined): value is {readonly [key: string]: JsonValue} {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
