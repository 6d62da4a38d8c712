/**
 * How likely a token is under the softmax of its logits, in float64.
 */

/**
 * Returns the natural logarithm of a token's probability, at most 0: log p(i) = x(i) - m - log sum(exp(x(j) - m)), m
 * the largest logit, so that nothing overflows.
 * @param logits float32 `[V]`, finite.
 * @param tokenId below V.
 */
export function logLikelihood(logits: Float32Array, tokenId: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > top) top = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - top);
  return (logits[tokenId] ?? Number.NaN) - top - Math.log(sum);
}
