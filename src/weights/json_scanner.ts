// A strict reader of JSON in one pass, for headers of files that may be hostile: unlike JSON.parse it builds nothing
// but what its caller keeps, sees duplicated keys, and bounds depth and number of entries.

/** A place in a JSON text. `fail` is called with what was found wrong and where; it throws. */
export interface JsonScanner {
  /** Visits the members of an object; the visitor must consume the value. Duplicated keys fail. */
  object(visit: (key: string) => void): void;
  /** Visits the elements of an array; the visitor must consume the value. */
  array(visit: () => void): void;
  string(): string;
  /** An integer in [0, 2^53). */
  natural(): number;
  /** Passes over any value, at most 32 levels deep. */
  skip(): void;
  /** Only white space may follow. */
  end(): void;
}

const MAX_ENTRIES = 1_000_000;
const MAX_DEPTH = 32;

export function scanJson(text: string, fail: (what: string) => never): JsonScanner {
  let at = 0;
  let entries = 0;

  const wrong = (expected: string): never => {
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 12)) : 'the end';
    return fail(`expected ${expected} at character ${at} of the JSON, found ${found}`);
  };
  const peek = () => {
    while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
    return text[at];
  };
  const accept = (char: string) => {
    if (peek() !== char) return false;
    at++;
    return true;
  };
  const list = (close: string, item: () => void) => {
    if (accept(close)) return;
    do {
      if (++entries > MAX_ENTRIES) fail(`it holds more than ${MAX_ENTRIES} entries`);
      item();
    } while (accept(','));
    if (!accept(close)) wrong(`"," or "${close}"`);
  };

  const string = (): string => {
    if (peek() !== '"') wrong('a string');
    let end = at + 1;
    for (; end < text.length && text[end] !== '"'; end++) if (text[end] === '\\') end++;
    if (end >= text.length) fail('a string does not end');
    let value: unknown;
    try {
      value = JSON.parse(text.slice(at, end + 1));
    } catch {
      wrong('a well-formed string');
    }
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(value)) return wrong('a well-formed string');
    at = end + 1;
    return value;
  };
  const object = (visit: (key: string) => void) => {
    if (!accept('{')) wrong('an object');
    const seen = new Set<string>();
    list('}', () => {
      const key = string();
      if (seen.has(key)) fail(`the key ${quote(key)} is there twice`);
      seen.add(key);
      if (!accept(':')) wrong('":"');
      visit(key);
    });
  };
  const array = (visit: () => void) => {
    if (!accept('[')) wrong('an array');
    list(']', visit);
  };
  const match = (pattern: RegExp, expected: string): string => {
    peek();
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? wrong(expected);
    at += found.length;
    return found;
  };
  const natural = (): number => {
    const value = Number(match(/(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y, 'an integer from 0 to 2^53'));
    return Number.isSafeInteger(value) ? value : wrong('an integer below 2^53');
  };
  const skip = (depth = 0): void => {
    if (depth > MAX_DEPTH) fail(`it is nested more than ${MAX_DEPTH} levels deep`);
    const next = peek();
    if (next === '{') object(() => skip(depth + 1));
    else if (next === '[') array(() => skip(depth + 1));
    else if (next === '"') string();
    else match(/true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y, 'a value');
  };
  const end = () => {
    if (peek() !== undefined) wrong('the end');
  };
  return {object, array, string, natural, skip: () => skip(), end};
}

/** A name from a file, fit for a one-line message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}
