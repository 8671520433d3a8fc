// docs/method.md explains the method through the code: every section says where it is in the paper and links a file here.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {expect, test} from 'vitest';

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/method.md'), 'utf8');
const sections = page
  .split(/^(?=##+ )/m)
  .slice(1)
  .map(text => ({title: text.slice(0, text.indexOf('\n')).replace(/^#+ /, ''), text}));
/** Of our own. */
const notInPaper = ['Training equals the reference'];

test('every part of the method has a section', () => {
  const titles = sections.map(({title}) => title).join('\n');
  for (const subject of [
    'Two kinds of layers',
    'Frame positions',
    'alpha mix',
    'stages',
    'Losses',
    'context comes from',
  ])
    expect(titles).toContain(subject);
  for (const subject of ['temporal upsampling', 'spatial upsampling', 'frame by frame'])
    expect(titles).toContain(subject);
});

test.each(sections.map(({title, text}) => [title, text]))('%s', (title, text) => {
  if (!notInPaper.includes(title)) expect(title).toMatch(/\(paper: /);
  expect(text).toMatch(/\]\(\.\.\/(src|trainers|scripts)\//);
});
