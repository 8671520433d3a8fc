// YAML file -> typed configuration. Strict: every problem names its key, its line, what was expected and, for a
// mistyped key, the nearest valid one.
import {readFileSync, statSync} from 'node:fs';
import {type Document, isMap, isScalar, LineCounter, parseDocument} from 'yaml';
import {z} from 'zod';
import {UserError} from '../platform/user_error.ts';
import {nearest} from './nearest.ts';
import {type StageConfig, stageNames, stageSchemas} from './schema.ts';

const MAX_CONFIG_BYTES = 1 << 20;

/**
 * Reads and checks a configuration file.
 * @param overrides `a.b=c` assignments (the command line's `--set`), values parsed as YAML.
 * @throws UserError naming file, line and key.
 */
export function loadConfig(file: string, overrides: readonly string[] = []): StageConfig {
  return parseConfig(readBounded(file), file, overrides);
}

/** The same from text; `name` is what errors call the file. */
export function parseConfig(text: string, name: string, overrides: readonly string[] = []): StageConfig {
  return parseStrict(
    text,
    name,
    value => {
      const stage = isRecord(value) ? value.stage : undefined;
      const stageName = stageNames.find(known => known === stage);
      if (stageName) return stageSchemas[stageName] as z.ZodType<StageConfig>;
      throw new UserError(
        `${name}: "stage" must be one of ${stageNames.join(', ')}; it is ${JSON.stringify(stage) ?? 'missing'}.`,
      );
    },
    overrides,
  );
}

/** YAML that must be what a strict schema says, with the same errors as configurations. */
export function parseStrict<T>(
  text: string,
  name: string,
  schemaOf: (value: unknown) => z.ZodType<T>,
  overrides: readonly string[] = [],
): T {
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines, prettyErrors: true});
  const syntax = document.errors[0];
  if (syntax) throw new UserError(`${name} is not valid YAML: ${syntax.message.split('\n')[0]}`);
  for (const assignment of overrides) applyOverride(document, assignment);
  const value: unknown = document.toJS({maxAliasCount: 100});
  const schema = schemaOf(value);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UserError(parsed.error.issues.map(issue => describeIssue(issue, name, document, lines, schema)).join('\n'));
}

/** The text of a file of at most 1 MiB. @throws UserError where it cannot be read. */
export function readBounded(file: string): string {
  try {
    if (statSync(file).size > MAX_CONFIG_BYTES)
      throw new UserError(`${file} is larger than 1 MiB: not a configuration.`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`The configuration ${file} cannot be read (${errorCode(error)}): check its path.`);
  }
}

function applyOverride(document: Document, assignment: string): void {
  const match = /^([A-Za-z0-9_.]+)=(.*)$/s.exec(assignment);
  if (!match)
    throw new UserError(`--set ${assignment}: expected KEY=VALUE with a dotted key, such as train.steps=500.`);
  const value = parseDocument(match[2]!);
  if (value.errors[0]) throw new UserError(`--set ${assignment}: the value is not valid YAML.`);
  const path = match[1]!.split('.');
  for (let depth = 1; depth < path.length; depth++) {
    const parent = path.slice(0, depth);
    if (document.hasIn(parent) && !isMap(document.getIn(parent, true))) {
      throw new UserError(`--set ${assignment}: ${parent.join('.')} is a single value and has no keys.`);
    }
  }
  document.setIn(path, value.toJS());
}

function describeIssue(
  issue: z.core.$ZodIssue,
  name: string,
  document: Document,
  lines: LineCounter,
  schema: z.ZodType,
): string {
  const path = issue.path.map(part => (typeof part === 'symbol' ? part.toString() : part));
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one that what is there got furthest in.
    const meant = issue.errors.reduce((best, other) => (depth(other) > depth(best) ? other : best));
    if (depth(meant) > 0)
      return meant
        .map(inner => describeIssue({...inner, path: [...issue.path, ...inner.path]}, name, document, lines, schema))
        .join('\n');
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .map(key => {
        const known = keysAt(schema, path);
        const near = nearest(key, known);
        const hint = near ? `did you mean "${near}"?` : `known keys: ${known.join(', ')}.`;
        return `${name}:${lineOf(document, lines, [...path, key])}: unknown key "${dotted([...path, key])}": ${hint}`;
      })
      .join('\n');
  }
  const found = document.getIn(path);
  const shown = found === undefined ? 'missing' : JSON.stringify(isScalar(found) ? found.value : found);
  return `${name}:${lineOf(document, lines, path)}: "${dotted(path)}" is ${shown}: ${lowerFirst(issue.message)}.`;
}

/** How far into a value an alternative got before it failed: an unknown key is further than the wrong type of the whole. */
const depth = (issues: readonly z.core.$ZodIssue[]): number =>
  Math.max(0, ...issues.map(({path, code}) => path.length + (code === 'unrecognized_keys' ? 1 : 0)));

/** Line of the nearest node at or above `path`; of a key itself where there is one. */
function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = document.getIn(path.slice(0, depth - 1), true) ?? document.contents;
    if (isMap(parent)) {
      const pair = parent.items.find(item => isScalar(item.key) && item.key.value === path[depth - 1]);
      if (pair && isScalar(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line;
    }
  }
  return 1;
}

/** Keys of the object schema at `path`, through optionals and defaults. */
function keysAt(schema: z.ZodType, path: readonly (string | number)[]): string[] {
  let at: unknown = schema;
  for (const part of [...path, undefined]) {
    while (at instanceof z.ZodOptional || at instanceof z.ZodDefault || at instanceof z.ZodPrefault) at = at.unwrap();
    if (at instanceof z.ZodUnion) at = at.options.find(option => option instanceof z.ZodObject);
    if (part === undefined) break;
    at = at instanceof z.ZodArray ? at.element : at instanceof z.ZodObject ? at.shape[part] : undefined;
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

const dotted = (path: readonly (string | number)[]): string => path.join('.');
const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);
