import {defineConfig} from 'vitest/config';

// Native addons and TensorFlow.js engines want a process of their own: forks, not threads.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/conformance/**'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
