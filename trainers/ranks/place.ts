// Where this process stands among those that train one model together, as the environment says: the variables that torchrun
// sets, and this project's own launcher (launch.ts).
import type {GroupPlace} from '../../src/engine/index.ts';
import {UserError} from '../../src/platform/user_error.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws UserError where some of the variables are missing or do not fit together. */
export function placeFromEnvironment(environment: Environment): GroupPlace | undefined {
  const {WORLD_SIZE} = environment;
  if (WORLD_SIZE === undefined || WORLD_SIZE === '1') return undefined;
  const worldSize = wholeNumber('WORLD_SIZE', WORLD_SIZE, 1, 2 ** 16);
  const rank = wholeNumber('RANK', environment.RANK, 0, worldSize - 1);
  const localWorldSize = wholeNumber('LOCAL_WORLD_SIZE', environment.LOCAL_WORLD_SIZE ?? '1', 1, worldSize);
  const localRank = wholeNumber('LOCAL_RANK', environment.LOCAL_RANK ?? '0', 0, localWorldSize - 1);
  const port = wholeNumber('MASTER_PORT', environment.MASTER_PORT, 1, 65_535);
  const address = environment.MASTER_ADDR;
  if (address === undefined || address === '') throw missing('MASTER_ADDR', 'the host name of rank 0', address);
  return {rank, worldSize, localRank, localWorldSize, address, port, ...agentOf(environment)};
}

/** torchrun's agent serves the ranks' store itself, for as many attempts as it makes. */
function agentOf(environment: Environment): Pick<GroupPlace, 'attempt'> {
  if (environment.TORCHELASTIC_USE_AGENT_STORE !== 'True') return {};
  return {attempt: `video-ldm/${environment.TORCHELASTIC_RESTART_COUNT ?? '0'}`};
}

/** The variables that say a place. */
export function environmentOf(place: GroupPlace): Record<string, string> {
  return {
    RANK: String(place.rank),
    WORLD_SIZE: String(place.worldSize),
    LOCAL_RANK: String(place.localRank),
    LOCAL_WORLD_SIZE: String(place.localWorldSize),
    MASTER_ADDR: place.address,
    MASTER_PORT: String(place.port),
  };
}

function wholeNumber(name: string, text: string | undefined, least: number, most: number): number {
  const value = Number(text);
  if (text !== undefined && /^\d+$/.test(text) && value >= least && value <= most) return value;
  throw missing(name, `a whole number from ${least} to ${most}`, text);
}

function missing(name: string, expected: string, found: string | undefined): UserError {
  return new UserError(
    `The environment has WORLD_SIZE, so this is one of several processes that train together, but ${name} is ${found === undefined ? 'not set' : `"${found}"`}, expected ${expected}: start them with --ranks or torchrun, or unset WORLD_SIZE.`,
  );
}
