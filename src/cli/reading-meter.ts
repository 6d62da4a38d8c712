/**
 * Measures a reading: how fast its first and its last tenth went, and whether memory stayed flat.
 *
 * Tenths are by tokens, their borders interpolated between two measurements. Memory is the resident set of
 * the whole process; its growth is counted from the end of the first tenth, to the highest point after it.
 */

/** Is one measurement, taken after some tokens have been read. */
export interface ReadingSample {
  /** Tokens read so far. */
  readonly readTokens: number;
  /** Seconds since the reading began. */
  readonly seconds: number;
  readonly stateBytes: number;
  readonly residentBytes: number;
}

/** Says how a reading went. Speeds in tokens per second, sizes in bytes. */
export interface ReadingReport {
  readonly tokenCount: number;
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** Undefined where the reading took too few steps to tell. */
  readonly firstTenthTokensPerSecond: number | undefined;
  readonly lastTenthTokensPerSecond: number | undefined;
  readonly leastStateBytes: number;
  readonly mostStateBytes: number;
  readonly residentBytes: number;
  /** Growth of the resident set after the first tenth; undefined where there were too few steps to tell. */
  readonly residentGrowthBytes: number | undefined;
}

/** Steps below which a tenth of them says nothing. */
const leastSteps = 20;

/** Gathers measurements. */
export class ReadingMeter {
  readonly #samples: ReadingSample[] = [];

  /** Adds a measurement; in order. */
  note(sample: ReadingSample): void {
    this.#samples.push(sample);
  }

  /** All measurements, in order. */
  get samples(): readonly ReadingSample[] {
    return this.#samples;
  }

  /** Returns the seconds at which a count of tokens had been read. */
  #secondsAt(tokens: number): number {
    let before = { readTokens: 0, seconds: 0 };
    for (const sample of this.#samples) {
      if (sample.readTokens >= tokens) {
        const share = (tokens - before.readTokens) / (sample.readTokens - before.readTokens);
        return before.seconds + share * (sample.seconds - before.seconds);
      }
      before = sample;
    }
    return before.seconds;
  }

  /** Reports on what was measured; undefined when nothing was. */
  report(): ReadingReport | undefined {
    const last = this.#samples.at(-1);
    if (last === undefined) return undefined;
    const { readTokens: tokenCount, seconds } = last;
    const tenth = tokenCount / 10;
    const isTelling = this.#samples.length >= leastSteps;
    const after = this.#samples.filter(({ readTokens }) => readTokens >= tenth);
    const residents = after.map(({ residentBytes }) => residentBytes);
    const highest = residents.reduce((most, bytes) => Math.max(most, bytes), 0);
    const states = this.#samples.map(({ stateBytes }) => stateBytes);
    return {
      tokenCount,
      seconds,
      tokensPerSecond: tokenCount / seconds,
      firstTenthTokensPerSecond: isTelling ? tenth / this.#secondsAt(tenth) : undefined,
      lastTenthTokensPerSecond: isTelling
        ? tenth / (seconds - this.#secondsAt(tokenCount - tenth))
        : undefined,
      leastStateBytes: states.reduce((least, bytes) => Math.min(least, bytes), Number.POSITIVE_INFINITY),
      mostStateBytes: states.reduce((most, bytes) => Math.max(most, bytes), 0),
      residentBytes: last.residentBytes,
      residentGrowthBytes: isTelling ? highest - (residents[0] ?? 0) : undefined,
    };
  }
}
