// Rows of a CSV file (RFC 4180: quotes, doubled quotes, line breaks within quotes), read as a stream: WebVid's have gigabytes.
import {createReadStream} from 'node:fs';
import {UserError} from '../src/platform/user_error.ts';

const maxFieldLength = 2 ** 20;

/**
 * One object a row, by the names of the first line.
 * @throws UserError for a row with another number of fields, naming its line, or an open quote.
 */
export async function* csvRows(file: string): AsyncGenerator<Record<string, string>> {
  let names: string[] | undefined;
  for await (const {fields, line} of csvFields(file)) {
    if (names === undefined) {
      names = fields.map(name => name.trim());
      continue;
    }
    if (fields.length === 1 && fields[0] === '') continue; // an empty line
    if (fields.length !== names.length) {
      throw new UserError(
        `${file}, line ${line}: ${names.length} fields were expected (${names.join(', ')}), found ${fields.length}.`,
      );
    }
    yield Object.fromEntries(names.map((name, n) => [name, fields[n]!]));
  }
}

async function* csvFields(file: string): AsyncGenerator<{fields: string[]; line: number}> {
  let fields: string[] = [];
  let field = '';
  let quoted = false;
  let closing = false; // a quote was seen within quotes: doubled, or the end of them
  let line = 1;
  let begun = 1; // the line the row began on
  let first = true;
  const stream = createReadStream(file, {encoding: 'utf8', highWaterMark: 2 ** 18});
  stream.on('error', () => {}); // thrown by the loop below as well
  for await (const chunk of stream as AsyncIterable<string>) {
    for (const c of first ? chunk.replace(/^\ufeff/, '') : chunk) {
      first = false;
      if (c === '\n') line++;
      if (closing) {
        closing = false;
        if (c === '"') {
          field += '"';
          continue;
        }
        quoted = false;
      }
      if (quoted) {
        if (c === '"') closing = true;
        else field += c;
        if (field.length > maxFieldLength)
          throw new UserError(`${file}: the quote opened on line ${begun} is not closed.`);
      } else if (c === '"' && field === '') {
        quoted = true;
      } else if (c === ',') {
        fields.push(field);
        field = '';
      } else if (c === '\n') {
        fields.push(field.replace(/\r$/, ''));
        yield {fields, line: begun};
        [fields, field, begun] = [[], '', line];
      } else {
        field += c;
      }
    }
  }
  if (quoted && !closing) throw new UserError(`${file}: the quote opened on line ${begun} is not closed.`);
  if (field !== '' || fields.length > 0) yield {fields: [...fields, field.replace(/\r$/, '')], line: begun};
}
