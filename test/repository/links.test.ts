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

/** Folders whose files a page may name without a link: in code, in commands, in prose. */
const folders = 'src|trainers|datasets|checkpoints|packages|configs|scripts|test|examples|docs';
const named = new RegExp(`(?<![\\w./-])(?:${folders})/[\\w./-]*\\w`, 'g');

test('names of files and folders are found in text', () => {
  const text =
    'see `src/a.ts` and runs/x/checkpoints/step-1, scripts/b.ts. (test/c) or ../src/d.ts, npx tsx scripts/e.ts 3';
  expect(text.match(named)).toEqual(['src/a.ts', 'scripts/b.ts', 'test/c', 'scripts/e.ts']);
});

test.each(pages)('%s names files that are there', page => {
  const text = readFileSync(path.join(root, page), 'utf8');
  const missing = (text.match(named) ?? []).filter(name => !existsSync(path.join(root, name)));
  expect(missing).toEqual([]);
});
