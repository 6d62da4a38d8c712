/**
 * A source whose tokens all weigh the same, whatever records give: prompts are learned like their completions.
 */

import type { DocumentSource } from "./document-source.ts";

/** Gives the documents of a source with weight 1 for each token behind the first, padding excepted. */
export function weighAllTokens(source: DocumentSource): DocumentSource {
  return {
    identity: JSON.stringify({ weighAll: source.identity }),
    start: source.start,
    async read(from, lengthTokens, signal) {
      const { document, position } = await source.read(from, lengthTokens, signal);
      const lossWeights = new Float32Array(lengthTokens).fill(1, 1, document.usedTokens);
      return { document: { ...document, lossWeights }, position };
    },
  };
}
