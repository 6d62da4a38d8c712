/**
 * Measures what quantised weights cost: mean negative log-likelihood and perplexity of a text, for each way to hold
 * weights under each memory policy.
 *
 *   npm run bench:quantization -- --model M --text FILE [--adapter A] [--tokens 4096] [--separator TEXT]
 *                                 [--dtypes f32,q8,q4] [--threads 2] [--json FILE]
 *
 * The text is one stream, read token by token; documents between separators begin with the tokenizer's
 * beginning-of-text token. Where a policy's streams end (`full`), a new one begins. The first token of a stream is
 * not counted. Of a GGUF model, `--dtypes auto` measures its own blocks.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type WeightDType, weightDTypes } from "../src/engine/memory-estimate.ts";
import { loadModel, type Model, type PolicyName } from "../src/node.ts";

interface Row {
  readonly policy: PolicyName;
  readonly dtype: WeightDType | "auto";
  readonly tokenCount: number;
  /** Mean negative log-likelihood, in nats a token. */
  readonly meanNll: number;
  readonly perplexity: number;
  /** Change of the mean against the first way of the same policy, as a fraction. */
  readonly change: number;
}

/** Returns the negative log-likelihood of a token, in nats. */
function surprise(logits: Float32Array, id: number): number {
  const top = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
  return Math.log(total) + top - (logits[id] ?? Number.NaN);
}

function encodeText(model: Model, text: string, separator: string | undefined, most: number): number[] {
  const { tokenizer } = model;
  if (tokenizer === undefined) throw new Error("bench: the model has no tokenizer");
  const ids: number[] = [];
  for (const document of separator === undefined ? [text] : text.split(separator)) {
    if (document.trim() !== "") for (const id of tokenizer.encode(document.trim())) ids.push(id);
    if (ids.length >= most) break;
  }
  return ids.slice(0, most);
}

async function measureNll(model: Model, ids: readonly number[]): Promise<{ total: number; count: number }> {
  const longest = model.policy === "full" ? model.config.geometry.maxPositions : ids.length;
  let [total, count] = [0, 0];
  for (let start = 0; start < ids.length; start += longest) {
    using session = model.createSession();
    for (const id of ids.slice(start, start + longest)) {
      if (session.logits !== undefined) {
        total += surprise(session.logits, id);
        count++;
      }
      await session.append([id]);
    }
  }
  return { total, count };
}

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    text: { type: "string" },
    adapter: { type: "string" },
    tokens: { type: "string", default: "4096" },
    separator: { type: "string" },
    dtypes: { type: "string", default: "f32,q8,q4" },
    threads: { type: "string", default: "2" },
    json: { type: "string" },
  },
});
const { model: name, text: file, adapter, separator } = values;
if (name === undefined || file === undefined) throw new Error("bench: --model M and --text FILE are needed");
const text = readFileSync(file, "utf8");
const dtypes = values.dtypes.split(",").map((asked) => {
  const dtype = weightDTypes.find((known) => known === asked);
  if (dtype === undefined) throw new Error(`bench: --dtypes ${asked} is unknown`);
  return dtype;
});
const policies: readonly PolicyName[] =
  adapter === undefined ? ["full", "streaming"] : ["full", "streaming", "paper"];
const rows: Row[] = [];
console.log("policy | weights | tokens | mean NLL | perplexity | change");
for (const policy of policies) {
  let first: number | undefined;
  for (const dtype of dtypes) {
    await using model = await loadModel(name, {
      ...{ policy, dtype, threads: Number(values.threads) },
      ...(policy === "paper" && adapter !== undefined && { adapter }),
    });
    const ids = encodeText(model, text, separator, Number(values.tokens));
    const { total, count } = await measureNll(model, ids);
    const meanNll = total / count;
    first ??= meanNll;
    const row = {
      policy,
      dtype,
      tokenCount: count,
      meanNll,
      perplexity: Math.exp(meanNll),
      change: meanNll / first - 1,
    };
    rows.push(row);
    const change = `${row.change >= 0 ? "+" : ""}${(100 * row.change).toFixed(2)}%`;
    console.log(
      [policy, dtype, count, meanNll.toFixed(4), row.perplexity.toFixed(3), change].map(String).join(" | "),
    );
  }
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
