// One rank of the small training loop, whose fifth batch is bad on the rank that BAD_RANK names. Prints how it ended.
import {placeFromEnvironment} from '../../trainers/ranks/place.ts';
import {smallLoop} from './small_loop.ts';

const place = placeFromEnvironment(process.env)!;
const isBad = String(place.rank) === process.env.BAD_RANK;
const {error, state, saved} = await smallLoop('torch', {
  steps: 8,
  place,
  ...(isBad ? {bad: {at: 4, what: process.env.BAD_WHAT === 'loss' ? 'loss' : 'input'}} : {}),
});
console.log(JSON.stringify({error: error?.message, state, saved}));
process.exit(0);
