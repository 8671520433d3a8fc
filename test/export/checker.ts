// The checker of the Python package onnx, which Debian has as python3-onnx. PYTHON names an interpreter with a newer one, which
// knows later opsets.
import {spawnSync} from 'node:child_process';

const python = process.env.PYTHON ?? '/usr/bin/python3';
const asked = spawnSync(python, ['-c', 'import onnx; print(onnx.defs.onnx_opset_version())'], {encoding: 'utf8'});

/** The newest opset that it knows; undefined where there is no such package. */
export const checkedOpset = asked.status === 0 ? Number(asked.stdout) : undefined;

const code = `import onnx, glob, sys
files = sorted(glob.glob(sys.argv[1] + '/**/*.onnx', recursive=True))
count = 0
for f in files:
  try:
    model = onnx.load(f, load_external_data=False)
    if model.opset_import[0].version > onnx.defs.onnx_opset_version(): continue
    count += 1
    onnx.checker.check_model(f, full_check=True)
    onnx.shape_inference.infer_shapes(onnx.load(f), check_type=True, strict_mode=True)
  except Exception as e:
    print(f, sorted({n.op_type for n in model.graph.node}), str(e)[:300])
print(count, 'checked')`;

/** Full check and strict shape inference of every file under a folder whose opset it knows; problems are what it refuses. */
export function checkFolder(folder: string): {count: number; problems: string[]} {
  const {status, stdout, stderr} = spawnSync(python, ['-c', code, folder], {encoding: 'utf8'});
  if (status !== 0) throw new Error(`The checker failed: ${stderr}`);
  const lines = stdout.trim().split('\n');
  const count = Number(/^(\d+) checked$/.exec(lines.pop()!)![1]);
  return {count, problems: lines};
}
