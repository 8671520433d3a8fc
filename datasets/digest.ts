// A hash that is the same everywhere: for keys, for choosing held-out videos, for telling settings apart.
import {createHash} from 'node:crypto';

/** SHA-256 in hexadecimal. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
