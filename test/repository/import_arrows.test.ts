// Imports point one way: cli -> trainers -> (datasets, checkpoints, src); inside src: models -> layers -> ops.
import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

/** What each folder may import besides itself. A folder that is not listed here fails the test. */
const allowed: Record<string, readonly string[]> = {
  'src/platform': [],
  'src/random': ['src/platform'],
  'src/ops': ['src/random'],
  'src/layers': ['src/ops', 'src/random', 'src/platform'],
  'src/models': ['src/layers', 'src/ops', 'src/random', 'src/platform'],
  'src/diffusion': ['src/ops', 'src/random', 'src/platform'],
  'src/sampling': ['src/diffusion', 'src/layers', 'src/models', 'src/random', 'src/platform'],
  'src/weights': ['src/platform', 'src/layers', 'src/models', 'src/diffusion'],
  'src/engine': ['src/ops', 'src/platform', 'tfjs-backend-torch'],
  'src/export': [
    'src/platform',
    'src/models',
    'src/layers',
    'src/ops',
    'src/weights',
    'src/engine',
    'src/diffusion',
    'src/random',
  ],
  'src/memory': ['src/export', 'src/platform'],
  'src/golden': ['src/weights', 'src/models', 'src/layers', 'src/ops', 'src/diffusion', 'src/platform'],
  'src/config': ['src/platform', 'src/models', 'src/layers', 'src/diffusion', 'src/engine'],
  src: ['src/*'],
  datasets: ['src/random', 'src/weights', 'src/platform', 'webdataset-ts'],
  checkpoints: ['src/random', 'src/weights', 'src/platform'],
  trainers: ['src/*', 'datasets', 'checkpoints', 'src'],
  'src/cli': ['src/*', 'src', 'trainers', 'datasets', 'checkpoints'],
};
/** Model-free folders: the command line's start-up and the data workers must not load TensorFlow.js. */
const withoutTensorFlow = ['src/platform', 'src/random', 'src/config', 'datasets', 'checkpoints'];

const files = ['src', 'trainers', 'datasets', 'checkpoints'].flatMap(folder =>
  readdirSync(path.join(root, folder), {recursive: true, encoding: 'utf8'})
    .map(file => `${folder}/${file.replaceAll(path.sep, '/')}`)
    .filter(file => file.endsWith('.ts')),
);

function folderOf(file: string): string {
  const [first = '', second = '', third] = file.split('/');
  return first === 'src' && third !== undefined ? `src/${second}` : first;
}

/** Import specifiers; `typeOnly` imports vanish in the build but still point somewhere. */
function importsOf(file: string): {target: string; typeOnly: boolean}[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|import\s*\(?\s*'([^']+)'/g,
  );
  return [...found].map(match => ({target: match[2] ?? match[3] ?? '', typeOnly: match[1] !== undefined}));
}

describe('import arrows', () => {
  test('there are files to check', () => expect(files.length).toBeGreaterThan(8));

  test.each(files)('%s', file => {
    const from = folderOf(file);
    const may = allowed[from];
    expect(may, `${from} is a new folder: say in this test what it may import`).toBeDefined();
    for (const {target, typeOnly} of importsOf(file)) {
      if (target.startsWith('.')) {
        const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), target));
        const to = folderOf(resolved);
        if (to === from || resolved === 'src/tf.ts') {
          if (resolved === 'src/tf.ts') expect(withoutTensorFlow, `${file} loads TensorFlow.js`).not.toContain(from);
          continue;
        }
        const fine = may!.includes(to) || (to.startsWith('src/') && to !== 'src/cli' && may!.includes('src/*'));
        expect(fine, `${file} imports ${target}: ${from} must not import ${to}`).toBe(true);
        if (withoutTensorFlow.includes(from) && ['src/models', 'src/layers', 'src/ops', 'src/engine'].includes(to)) {
          expect(typeOnly, `${file} imports ${target}: only its types may be`).toBe(true);
        }
      } else if (target.startsWith('tfjs-backend-torch') || target === 'webdataset-ts') {
        expect(may, `${file} imports ${target}`).toContain(target.split('/')[0]);
      } else if (target.startsWith('@tensorflow/')) {
        const isDoor = file === 'src/tf.ts' || from === 'src/engine';
        expect(isDoor, `${file} imports ${target}: TensorFlow.js comes through src/tf.ts`).toBe(true);
      }
    }
  });
});
