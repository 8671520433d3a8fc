// Where the time of the steps goes: computing, or waiting for data.

/** Steps, samples and data wait since the last report, and a smoothed rate for "time left". */
export class Throughput {
  #since = performance.now();
  #last = performance.now();
  #waited = 0;
  #steps = 0;
  #samples = 0;
  #secondsPerStep: number | undefined;

  /** The next value of an iterator; the time until it is there counts as waiting. */
  async waitFor<T>(next: Promise<IteratorResult<T>>): Promise<T> {
    const start = performance.now();
    const result = await next;
    this.#waited += performance.now() - start;
    if (result.done) throw new Error('The data ended before the training did.');
    return result.value;
  }

  step(samples: number): void {
    const now = performance.now();
    const seconds = (now - this.#last) / 1000;
    this.#secondsPerStep = this.#secondsPerStep === undefined ? seconds : 0.9 * this.#secondsPerStep + 0.1 * seconds;
    this.#last = now;
    this.#steps += 1;
    this.#samples += samples;
  }

  estimate(stepsLeft: number): {stepsPerSecond: number; secondsLeft: number} {
    const seconds = this.#secondsPerStep ?? 0;
    return {stepsPerSecond: seconds > 0 ? 1 / seconds : 0, secondsLeft: seconds * stepsLeft};
  }

  /** Figures since the last call. */
  take(): {secondsPerStep: number; samplesPerSecond: number; dataWaitFraction: number} {
    const elapsed = performance.now() - this.#since;
    const figures = {
      secondsPerStep: elapsed / 1000 / Math.max(1, this.#steps),
      samplesPerSecond: (1000 * this.#samples) / elapsed,
      dataWaitFraction: this.#waited / elapsed,
    };
    this.#since = performance.now();
    this.#waited = 0;
    this.#steps = 0;
    this.#samples = 0;
    return figures;
  }
}

export const STARVING =
  'the run waits for data more than it computes: raise data.workers, put the shards on a faster disk, or encode latents once (video-ldm encode)';

/** When a log should say that the run starves: not of its start, and not at every line. */
export class Starvation {
  #windows = 0;
  #quietUntil = 1;

  /** The fraction to tell of, where more than half the time since the last line went into waiting. */
  told(dataWaitFraction: number): number | undefined {
    const window = this.#windows++;
    if (window < this.#quietUntil || dataWaitFraction <= 0.5) return undefined;
    this.#quietUntil = 2 * window + 1;
    return dataWaitFraction;
  }
}
