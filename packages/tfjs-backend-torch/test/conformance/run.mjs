// Runs TensorFlow.js's own conformance suite (@tensorflow/tfjs-core/dist/tests)
// against one backend. Install and usage: README.md, beside this file.
import {readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {isAbsolute, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {parseArgs} from 'node:util';

const {values: opt} = parseArgs({
  options: {
    backend: {type: 'string', default: '@tensorflow/tfjs-backend-cpu'}, // package, or path to .js/.ts
    name: {type: 'string', default: 'cpu'}, // the name the backend registers itself under
    filter: {type: 'string', default: ''}, // regular expression on the full spec name
    exclude: {type: 'string'}, // JSON file: [{"name": "substring", "why": "reason"}]
    async: {type: 'boolean', default: false}, // the backend has no dataSync()
    report: {type: 'string'}, // JSON file to write the per-suite counts to
  },
});

const require = createRequire(resolve('package.json')); // everything resolves from the caller's project
const exclude = opt.exclude ? JSON.parse(readFileSync(opt.exclude, 'utf8')) : [];
const filter = new RegExp(opt.filter);

// 1. Jasmine first: it installs the describe/it/expect globals that the specs use.
const Jasmine = require('jasmine');
const runner = new Jasmine();
runner.exitOnCompletion = false;
runner.clearReporters(); // failures are listed below, passes only counted

// 2. The side effects that a bare tfjs-core lacks, then the backend under test.
require('@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops');
require('@tensorflow/tfjs-core/dist/register_all_gradients');
const isPath = opt.backend.startsWith('.') || isAbsolute(opt.backend);
await import(pathToFileURL(isPath ? resolve(opt.backend) : require.resolve(opt.backend)));

// 3. The environment, before any spec file loads: describeWithFlags() reads it at load time.
const {setTestEnvs} = require('@tensorflow/tfjs-core/dist/jasmine_util');
const envName = `test-${opt.name}`;
setTestEnvs([{name: envName, backendName: opt.name, isDataSync: !opt.async}]);

// 4. The specs, and which of them to run.
require('@tensorflow/tfjs-core/dist/tests');
const used = new Set();
runner.env.configure({
  random: false,
  specFilter: spec => {
    const fullName = spec.getFullName();
    const rule = exclude.find(({name}) => fullName.includes(name));
    if (rule) used.add(rule);
    return !rule && filter.test(fullName);
  },
});

// 5. Count per suite, run, and fail on an empty run or a stale exclusion as well as on a failed spec.
const counts = {};
const missing = new Set();
const totals = {passed: 0, failed: 0, pending: 0, excluded: 0, onBackend: 0};
runner.addReporter({
  specDone({fullName, status, failedExpectations}) {
    for (const {message} of failedExpectations)
      console.error(`FAILED ${fullName}\n    ${message.split('\n')[0].slice(0, 300)}`);
    const onBackend = fullName.includes(` ${envName} `);
    const suite = onBackend ? fullName.split(` ${envName} `)[0] : '(backend-independent)';
    counts[suite] ??= {};
    counts[suite][status] = (counts[suite][status] ?? 0) + 1;
    totals[status]++;
    if (onBackend && status !== 'excluded') totals.onBackend++;
    for (const {message} of failedExpectations) {
      const kernel = /Kernel '(\w+)' not registered/.exec(message)?.[1];
      if (kernel) missing.add(kernel);
    }
  },
});
const {overallStatus} = await runner.execute();
if (opt.report) writeFileSync(opt.report, JSON.stringify({totals, missing: [...missing].sort(), counts}, null, 1));
const stale = opt.filter ? [] : exclude.filter(rule => !used.has(rule));
for (const {name} of stale) console.error(`Stale exclusion, matches no spec: ${name}`);
if (totals.onBackend === 0) console.error(`No spec ran on backend '${opt.name}'.`);
if (missing.size > 0) console.error(`Kernels not registered: ${[...missing].sort().join(' ')}`);
console.log(`${opt.name}: ${JSON.stringify(totals)}`);
process.exitCode = overallStatus === 'passed' && totals.onBackend > 0 && stale.length === 0 ? 0 : 1;
