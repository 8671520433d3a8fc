// What a run or a checkpoint holds, as text.
import {existsSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {listCheckpoints, loadCheckpoint, verifyCheckpoint} from '../../checkpoints/index.ts';
import {UserError} from '../../src/platform/user_error.ts';
import {runFolderAt} from '../run/run_folder.ts';

export async function inspectRun(where: string): Promise<string> {
  if (existsSync(path.join(where, 'state.json'))) return inspectCheckpoint(where);
  const run = runFolderAt(where);
  if (!existsSync(run.checkpoints))
    throw new UserError(
      `${where} is neither a run folder nor a checkpoint: expected a folder with "checkpoints" or "state.json" in it.`,
    );
  const lines = [`run ${where}`];
  for (const info of await listCheckpoints(run.checkpoints)) {
    const state = info.record
      ? ((await problemOf(info.path)) ?? `whole, ${(info.bytes / 2 ** 20).toFixed(1)} MiB`)
      : info.problem;
    lines.push(`${info.latest ? '* ' : '  '}${info.name}: ${state}`);
  }
  if (existsSync(run.metrics)) {
    const evaluations = readFileSync(run.metrics, 'utf8')
      .split('\n')
      .filter(line => line.includes('"heldOut"'));
    const last = evaluations.at(-1);
    if (last) lines.push(`held out: ${last}`);
  }
  return lines.join('\n');
}

async function inspectCheckpoint(where: string): Promise<string> {
  const {stage, step, weights, ema, optimizers, metrics, engine, lineage = []} = await loadCheckpoint(where);
  const parameters = [...weights.values()].reduce((sum, {data}) => sum + data.length, 0);
  return [
    `checkpoint ${where}: whole`,
    `stage ${stage}, step ${step}`,
    ...(lineage.length === 0
      ? []
      : [`from ${lineage.map(one => `${one.path} (${one.stage}, step ${one.step})`).join(', from ')}`]),
    `${weights.size} weights, ${parameters.toLocaleString('en')} parameters; EMA: ${ema ? 'yes' : 'no'}; optimisers: ${Object.keys(optimizers).join(', ') || 'none'}`,
    `figures: ${JSON.stringify(metrics)}`,
    `engine: ${JSON.stringify(engine)}`,
  ].join('\n');
}

async function problemOf(checkpoint: string): Promise<string | undefined> {
  try {
    await verifyCheckpoint(checkpoint);
    return undefined;
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}
