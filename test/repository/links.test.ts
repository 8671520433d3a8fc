// Every relative link of the documentation leads to a file or folder that is there.
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {expect, test} from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const pages = [
  'README.md',
  ...readdirSync(path.join(root, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
];

test.each(pages)('%s', page => {
  const file = path.join(root, page);
  const links = [...readFileSync(file, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1]!.split('#')[0]!);
  const local = links.filter(link => link !== '' && !/^[a-z]+:/.test(link));
  const missing = local.filter(link => !existsSync(path.resolve(path.dirname(file), decodeURIComponent(link))));
  expect(missing).toEqual([]);
});
