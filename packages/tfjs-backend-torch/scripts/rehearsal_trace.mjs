// What a trace of the stand-in for CUDA says: rehearsal/trace.cc writes one event a line, columns separated by tabs.
import {spawnSync} from 'node:child_process';

/** Its counts; rehearsal_trace.d.mts has their types. */
export function parseTrace(text) {
  const violations = new Map();
  const errors = new Map();
  const missing = new Map();
  const eager = new Map();
  const graphs = new Map();
  let bytes = 0;
  let peakBytes = 0;
  const outside = event => {
    count(eager, event);
    for (const graph of graphs.values()) if (graph.since) count(graph.since, event);
  };
  for (const line of text.split('\n')) {
    const [kind, ...columns] = line.split('\t');
    const [id, what] = columns;
    if (kind === 'kernel' || kind === 'copy' || kind === 'set') {
      const name = kind === 'copy' ? `copy, ${what}` : kind === 'set' ? 'set' : what;
      if (id === '0') outside(kind === 'kernel' ? 'kernel' : name);
      else add(graphs.get(id).launches, name, kind === 'kernel' ? Number(columns[2]) : 0);
    } else if (kind === 'wait') outside(`wait for ${id}`);
    else if (kind === 'malloc' || kind === 'free') {
      outside(`${kind}, ${id}`);
      if (id === 'device') bytes += kind === 'malloc' ? Number(what) : -Number(what);
      peakBytes = Math.max(peakBytes, bytes);
    } else if (kind === 'begin')
      graphs.set(id, {id, nodes: 0, usable: false, replays: 0, launches: new Map(), between: new Map()});
    else if (kind === 'end') Object.assign(graphs.get(id), {nodes: Number(what), usable: columns[2] === 'usable'});
    else if (kind === 'replay') {
      const graph = graphs.get(id);
      if (graph.since) count(graph.between, JSON.stringify([...graph.since].sort()));
      graph.since = new Map();
      graph.replays++;
      for (const other of graphs.values())
        if (other !== graph && other.since) count(other.since, `replay of graph ${id}`);
    } else if (kind === 'violation') count(violations, id);
    else if (kind === 'error') count(errors, `${id}: ${what}`);
    else if (kind === 'missing') count(missing, id);
  }
  return {
    violations: Object.fromEntries(violations),
    errors: Object.fromEntries(errors),
    missing: Object.fromEntries(missing),
    peakBytes,
    eager: Object.fromEntries(eager),
    graphs: [...graphs.values()].map(({since, launches, between, ...graph}) => ({
      ...graph,
      launches: [...launches.values()].sort((a, b) => b.elements - a.elements || b.count - a.count),
      between: [...between]
        .map(([events, times]) => ({events: Object.fromEntries(JSON.parse(events)), times}))
        .sort((a, b) => b.times - a.times),
    })),
  };
}

/** The same in words, one thing a line. */
export function summarizeTrace(text) {
  const {violations, errors, missing, peakBytes, eager, graphs} = parseTrace(text);
  const names = graphs.flatMap(graph => graph.launches.map(({name}) => name));
  const readable = new Map(demangle(names).map((name, i) => [names[i], shortName(name)]));
  const lines = [];
  const section = (title, counts) => {
    const entries = Object.entries(counts);
    if (!entries.length) return lines.push(`${title}: none`);
    lines.push(`${title}:`, ...entries.map(([what, times]) => `${String(times).padStart(8)}  ${what}`));
  };
  section('Violations', violations);
  section('Errors', errors);
  section('Asked for and not there', missing);
  section('Outside graphs', eager);
  lines.push(`Device memory allocated: at most ${(peakBytes / 2 ** 30).toFixed(2)} GiB`);
  for (const graph of graphs) {
    lines.push(
      `Graph ${graph.id}: ${graph.nodes} nodes${graph.usable ? '' : ', invalid'}, replayed ${graph.replays} times`,
    );
    for (const {events, times} of graph.between.slice(0, 3)) {
      const counts = Object.entries(events).map(([what, count]) => `${count} ${what}`);
      lines.push(`  between two replays, ${times} times: ${counts.join('; ') || 'nothing'}`);
    }
    for (const {name, count, elements} of graph.launches) {
      lines.push(
        `${String(count).padStart(8)}  ${(elements || '').toLocaleString('en').padStart(15)}  ${readable.get(name)}`,
      );
    }
  }
  return lines.join('\n');
}

function count(counts, what) {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
function add(launches, name, elements) {
  const known = launches.get(name) ?? {name, count: 0, elements: 0};
  launches.set(name, {name, count: known.count + 1, elements: known.elements + elements});
}
/** C++ names as they are written; as they are where binutils' c++filt is not there. */
function demangle(names) {
  const {stdout, error} = spawnSync('c++filt', {input: names.join('\n'), encoding: 'utf8', maxBuffer: 1 << 28});
  return error ? names : stdout.split('\n').slice(0, names.length);
}
/** Without its result, its parameters, the functions that its lambdas are written in, and libtorch's own namespaces. */
function shortName(name) {
  let plain = name.replace(/^void /, '').replaceAll('(anonymous namespace)::', '');
  for (let before = ''; before !== plain; ) {
    before = plain;
    plain = plain.replace(/\([^()]*\)( const)?::\{lambda\([^()]*\)#\d+\}(::operator\(\)(?=\())?/, '');
  }
  plain = plain.slice(0, parametersAt(plain)).replaceAll(/\b(at::native|at|c10|cuda)::/g, '');
  return plain.length > 140 ? `${plain.slice(0, 137)}...` : plain;
}
/** Where the first parenthesis outside <> is. */
function parametersAt(name) {
  let depth = 0;
  for (let i = 0; i < name.length; i++) {
    if (name[i] === '<') depth++;
    else if (name[i] === '>') depth--;
    else if (name[i] === '(' && depth === 0) return i;
  }
  return name.length;
}
