/**
 * Summaries of likelihoods: means over documents with bootstrap intervals, overall, past the window, by bucket.
 */

import { bootstrapInterval, type Interval, mean } from "./intervals.ts";
import { bitsPerByte, type LikelihoodBucket, type LikelihoodSums, meanNll } from "./likelihood-sums.ts";

/** Is a mean of documents' means, nats a token. */
export interface NllMean {
  readonly nll: number;
  /** At 95%; over documents. */
  readonly interval: Interval;
  readonly documentCount: number;
  readonly tokenCount: number;
}

/** Is the mean of one bucket. */
export interface BucketMean extends NllMean {
  /** The first position, or number of commits, of the bucket. */
  readonly from: number;
}

/** Is what was measured of tokens' likelihoods. */
export interface LikelihoodSummary {
  /** Undefined where no document reaches so far. */
  readonly pastWindow: BucketMean | undefined;
  readonly byPosition: readonly BucketMean[];
  readonly byCommits: readonly BucketMean[];
  /** Of all documents' bytes; undefined where they are not known. */
  readonly bitsPerByte: number | undefined;
}

function summarizeBucket(from: number, buckets: readonly LikelihoodBucket[]): BucketMean | undefined {
  const filled = buckets.filter(({ tokenCount }) => tokenCount > 0);
  if (filled.length === 0) return undefined;
  const means = filled.map((bucket) => meanNll([bucket]));
  return {
    from,
    nll: mean(means),
    interval: bootstrapInterval(means),
    documentCount: filled.length,
    tokenCount: filled.reduce((sum, { tokenCount }) => sum + tokenCount, 0),
  };
}

function summarizeBuckets(documents: readonly (readonly LikelihoodBucket[])[]): BucketMean[] {
  const all = documents.flat();
  const starts = [...new Set(all.map(({ from }) => from))].sort((a, b) => a - b);
  return starts.flatMap((start) => {
    const own = all.filter(({ from }) => from === start);
    return summarizeBucket(start, own) ?? [];
  });
}

/** Summarizes documents of one row; undefined when there are none. */
export function summarizeLikelihoods(documents: readonly LikelihoodSums[]): LikelihoodSummary | undefined {
  const [first] = documents;
  if (first === undefined) return undefined;
  const past = documents.map(({ pastWindow }) => pastWindow);
  return {
    pastWindow: summarizeBucket(first.pastWindow.from, past),
    byPosition: summarizeBuckets(documents.map(({ byPosition }) => byPosition)),
    byCommits: summarizeBuckets(documents.map(({ byCommits }) => byCommits)),
    bitsPerByte: bitsPerByte(documents),
  };
}
