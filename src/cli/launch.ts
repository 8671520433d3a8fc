// `--ranks N` of a command that shares its work among processes.
import type {GroupPlace} from '../engine/index.ts';
import {UserError} from '../platform/user_error.ts';

/** On one machine; more join by torchrun's variables. */
const MOST_RANKS = 64;

/**
 * The place of this process among several, as the environment says it. Where it says none and `ranks` are more than one, runs
 * this very command in so many processes, to their end.
 * @throws UserError for a number that is none, and where one of them fails.
 */
export async function takePlace(ranks: number | undefined): Promise<{launched: boolean; place?: GroupPlace}> {
  if (ranks !== undefined && (!Number.isInteger(ranks) || ranks < 1 || ranks > MOST_RANKS))
    throw new UserError(`--ranks must be a whole number from 1 to ${MOST_RANKS}, it is ${ranks}.`);
  const {placeFromEnvironment} = await import('../../trainers/ranks/place.ts');
  const place = placeFromEnvironment(process.env);
  if (place) {
    stopWithLauncher();
    return {launched: false, place};
  }
  if (ranks === undefined || ranks === 1) return {launched: false};
  const {launchRanks} = await import('../../trainers/ranks/launch.ts');
  await launchRanks({ranks, command: process.argv.slice(1)});
  return {launched: true};
}

/** Asks this process to stop in good order when its launcher is gone, even by SIGKILL. */
function stopWithLauncher(): void {
  if (process.channel === undefined) return;
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}
