// The specs on the stand-in: nothing that is expected of values is checked, so that what fails is an exception.
//   node scripts/rehearse.mjs --zeros -- npx vitest run --config packages/tfjs-backend-torch/rehearsal/vitest.config.ts test/engine_torch
import {fileURLToPath} from 'node:url';
import {mergeConfig} from 'vitest/config';
import specs from '../../../vitest.config.ts';

export default mergeConfig(specs, {
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  test: {setupFiles: [fileURLToPath(new URL('expect_nothing.ts', import.meta.url))]},
});
