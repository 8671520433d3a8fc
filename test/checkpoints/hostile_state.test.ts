// 1,000 hostile state.json texts, half of them with a hash that vouches for them: each is refused in one sentence or read as
// a record of the right types, and none crashes.
import {createHash} from 'node:crypto';
import {expect, test} from 'vitest';
import {decodeStateRecord, encodeStateRecord} from '../../checkpoints/state_json.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {integers} from '../../src/random/index.ts';

const whole = encodeStateRecord({
  formatVersion: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  stage: 'image',
  step: 7,
  data: {epoch: 1, position: 3},
  metrics: {loss: 0.5, worst: Number.NaN},
  config: {stage: 'image', run: {name: 'x'}},
  engine: {engine: 'cpu', threads: 1},
  parts: {ema: true, optimizers: ['adamw'], companions: []},
  files: {'model.safetensors': {bytes: 10, sha256: 'a'.repeat(64)}},
});

const values = [
  ...['null', 'true', '-1', '1e999', '0.5', '9007199254740993', '""', '"..\\u002f..\\u002fx"', '[]', '{}'],
  ...['[[[[]]]]', '{"__proto__":{"x":1}}', '{"constructor":1}', '"\\ud800"', `"${'x'.repeat(5000)}"`, '[null,{}]'],
];

/** Replaces one value, key or stretch of the text. */
function mutated(text: string, draw: (below: number) => number): string {
  const lines = text.split('\n');
  switch (draw(5)) {
    case 0: {
      const line = draw(lines.length);
      lines[line] = lines[line]!.replace(/: .*?(,?)$/, `: ${values[draw(values.length)]}$1`);
      return lines.join('\n');
    }
    case 1:
      lines.splice(draw(lines.length), 1);
      return lines.join('\n');
    case 2: {
      const at = draw(text.length);
      return text.slice(0, at) + String.fromCharCode(draw(256)) + text.slice(at + 1);
    }
    case 3:
      return text.slice(0, draw(text.length));
    default: {
      const line = draw(lines.length);
      lines.splice(line, 0, lines[draw(lines.length)]!);
      return lines.join('\n');
    }
  }
}

/** The same text with a hash of its own. */
function vouched(text: string): string {
  const body = text.replace(/,\n "sha256": "[0-9a-f]*"\n\}\n?$/, '').replace(/\n?\}\n?$/, '');
  const hash = createHash('sha256').update(body).digest('hex');
  return `${body},\n "sha256": "${hash}"\n}\n`;
}

test('1,000 hostile records', () => {
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const numbers = integers({seed: 8, stream: 'synthetic', step: i}, 40, 2 ** 31 - 1);
    let at = 0;
    const draw = (below: number) => numbers[at++]! % below;
    let text = whole;
    for (let times = 1 + draw(3); times > 0; times--) text = mutated(text, draw);
    if (i % 2 === 0) text = vouched(text);
    try {
      const record = decodeStateRecord(text, 'state.json');
      expect(Number.isSafeInteger(record.step) && record.step >= 0).toBe(true);
      expect(typeof record.stage).toBe('string');
      for (const [name, {bytes, sha256}] of Object.entries(record.files)) {
        expect(name).toMatch(/^[a-z0-9_-]+\.safetensors(\.index\.json)?$/);
        expect([typeof bytes, typeof sha256]).toEqual(['number', 'string']);
      }
      if (i % 2 === 1) expect(text).toBe(whole);
    } catch (error) {
      expect(error, text).toBeInstanceOf(UserError);
      expect((error as Error).message.split('\n')).toHaveLength(1);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(500);
  expect(({} as {x?: number}).x).toBeUndefined();
});
