// Which layer or function called a kernel, from the JavaScript stack: the first frame outside TensorFlow.js, our operations and this folder.

const inside = [
  /[\\/]node_modules[\\/]@tensorflow[\\/]/,
  /[\\/]src[\\/](export|ops)[\\/]/,
  /^node:/,
  /[\\/]src[\\/]tf\.[jt]s/,
];

/** Remembers the stack now and reads it, which is the slow part, when called. */
export function callerLater(): () => string {
  const here = new Error();
  return () => callerOf(here);
}

/** "ResnetBlock.forward (layers/resnet.ts:41)". */
export function callerOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').slice(1);
  for (const frame of frames) {
    const match = /^\s*at (?:(.+?) \()?(.+?):(\d+):\d+\)?$/.exec(frame);
    if (!match) continue;
    const file = match[2]!.replace(/^file:\/\//, '');
    if (inside.some(pattern => pattern.test(file)) || file.startsWith('node:')) continue;
    const place = `${file.split(/[\\/]/).slice(-2).join('/')}:${match[3]}`;
    return match[1] ? `${match[1]} (${place})` : place;
  }
  return 'an unknown caller';
}
