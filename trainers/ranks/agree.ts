// What the ranks of a run tell each other beside gradients: that they train the same, which checkpoint they start from, where
// each is in the data, and what went wrong.
import type {JsonValue} from '../../checkpoints/index.ts';
import type {DataPosition} from '../../datasets/index.ts';
import type {Engine, Group} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';

/** Random numbers of a step are told apart by the number of the micro-batch, of all ranks together. */
const MOST_MICRO_BATCHES = 256;

/** What must be the same everywhere: averaged gradients mean nothing otherwise. */
export interface Terms {
  readonly config: JsonValue;
  readonly engine: Pick<Engine, 'name' | 'device' | 'precision'>;
  readonly accumulate: number;
}

/** @throws UserError, on every rank, naming the first rank that trains something else, or on something else. */
export async function refuseDisagreement(group: Group, {config, engine, accumulate}: Terms): Promise<void> {
  if (group.worldSize === 1) return;
  if (group.worldSize * accumulate > MOST_MICRO_BATCHES)
    throw new UserError(
      `${group.worldSize} ranks with train.accumulate ${accumulate} make ${group.worldSize * accumulate} micro-batches a step, expected at most ${MOST_MICRO_BATCHES}: lower train.accumulate and raise data.batchSize.`,
    );
  const {name, device, precision} = engine;
  // "cuda:0: NVIDIA H100" -> "cuda": the ranks of a machine have a GPU each.
  const mine = {config, engine: name, device: device.split(/[:,]/)[0], precision};
  const all = (await group.allGatherText(JSON.stringify(mine))).map(text => JSON.parse(text) as typeof mine);
  const [first] = all;
  for (const [rank, other] of all.entries()) {
    for (const [what, value] of Object.entries(first!)) {
      const found = other[what as keyof typeof mine];
      if (JSON.stringify(found) === JSON.stringify(value)) continue;
      const told = what === 'config' ? differingKeys(value, found) : `${found}, expected rank 0's ${value}`;
      throw new UserError(
        `Rank ${rank} of ${group.worldSize} has another ${what} than rank 0: ${told}. Start all with one configuration on machines that are set up alike.`,
      );
    }
  }
}

/** The paths at which two configurations differ. */
function differingKeys(one: JsonValue | undefined, other: JsonValue | undefined, at = ''): string {
  const isObject = (value: JsonValue | undefined): value is Readonly<Record<string, JsonValue>> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (JSON.stringify(one) === JSON.stringify(other)) return '';
  if (!isObject(one) || !isObject(other)) return at;
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return keys
    .map(key => differingKeys(one[key], other[key], at === '' ? key : `${at}.${key}`))
    .filter(path => path !== '')
    .join(', ');
}

/** What rank 0 says, on every rank; `text` is asked for on rank 0 alone. */
export async function fromRankZero(group: Group, text: () => string | Promise<string>): Promise<string> {
  const [said] = await group.allGatherText(group.rank === 0 ? await text() : '');
  return said!;
}

/** As a checkpoint holds the places in the data: of a run in one process its own, else one of each rank. */
export async function positionsOfRanks(group: Group, own: DataPosition | undefined): Promise<JsonValue> {
  if (group.worldSize === 1) return own ?? null;
  const all = await group.allGatherText(JSON.stringify(own ?? null));
  return {ranks: all.map(text => JSON.parse(text) as JsonValue)};
}

/**
 * Where this rank goes on. With as many ranks as the checkpoint was written by, exactly where each was; with more or fewer, from
 * the place of one of them: the data then see that they are split in another way, and begin their next epoch.
 */
export function positionOfRank(saved: JsonValue, {rank}: Pick<Group, 'rank'>): DataPosition | undefined {
  if (saved === null) return undefined;
  if (typeof saved !== 'object' || !('ranks' in saved) || !Array.isArray(saved.ranks)) return saved as DataPosition;
  const ranks = saved.ranks as readonly JsonValue[];
  return (ranks[rank] ?? ranks[0] ?? undefined) as DataPosition | undefined;
}

/** The first sentence that a rank has to say of a failure, with its rank; undefined where none has. */
export async function firstFailure(group: Group, own: string | undefined): Promise<string | undefined> {
  const all = await group.allGatherText(own ?? '');
  const rank = all.findIndex(text => text !== '');
  return rank < 0 || group.worldSize === 1 ? all[rank] : `Rank ${rank} of ${group.worldSize}: ${all[rank]}`;
}
