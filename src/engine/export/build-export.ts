/**
 * Builds an export in memory: graphs as ONNX models, the plan of their weights, and the manifest's facts.
 */

import { UnsupportedError } from "../../errors.ts";
import type { Graph, Value } from "../../graph/graph.ts";
import { graphToOnnx, portableOpset } from "../../graph/to-onnx.ts";
import { verifyGraph } from "../../graph/verify.ts";
import type { WeightEntry } from "../../graph/weights.ts";
import { localCapacityTokens, memoryLayers } from "../../memory/geometry.ts";
import { masked } from "../../memory/local-attention.ts";
import type { PolicyName } from "../../memory/policy.ts";
import type { ModelParts } from "../model-parts.ts";
import type { SessionIdentity } from "../session-file.ts";
import type { ExportedGraph, ExportedTensor, ExportManifest, ManifestContent } from "./manifest.ts";
import { describeProtocol } from "./protocol.ts";
import { listStaticGraphs, type StaticGraph } from "./static-graphs.ts";
import { roleMeanings, roleOfTensor } from "./tensor-roles.ts";
import { planWeightFile, type WeightFile } from "./weight-file.ts";

/** The name of the file of weights. */
const weightsFile = "weights.bin";

/** Is what an export is made from. */
export interface ExportSource {
  readonly parts: ModelParts;
  readonly tensors: ReadonlyMap<string, WeightEntry>;
  readonly identity: SessionIdentity;
  readonly dtype: ExportManifest["model"]["dtype"];
  readonly eosTokenIds: ReadonlySet<number>;
}

/** Is an export before it is written. */
export interface BuiltExport {
  /** ONNX models by their files' names. */
  readonly models: ReadonlyMap<string, Uint8Array>;
  readonly weightsFile: string;
  readonly weights: WeightFile;
  /** What the manifest says, but for what is known only when all is written. */
  readonly facts: Omit<ManifestContent, "edgeinfinite" | "weights" | "files">;
}

const slotsReason = "the manifest has no words yet for how a host chooses what stays in the slots";

/** Why policies cannot be exported. */
const reasonsAgainst: { readonly [Name in Exclude<PolicyName, ExportManifest["policy"]>]: string } = {
  plus: slotsReason,
  infini: "the manifest knows the linear memory of the policy paper alone",
  keydiff: slotsReason,
  h2o: slotsReason,
  snapkv: slotsReason,
  pyramidkv: slotsReason,
  full: "an ordinary cache grows with the stream, and exported graphs have fixed shapes",
};

/** Names the policy. @throws {@link UnsupportedError} for one that cannot be exported. */
function exportablePolicy({ policy: { name } }: ModelParts): ExportManifest["policy"] {
  if (name === "paper" || name === "streaming") return name;
  throw new UnsupportedError({
    where: "policy",
    what: reasonsAgainst[name],
    got: name,
    expected: "paper or streaming",
    remedy: "Choose streaming: a large window keeps as much exact.",
  });
}

function describeTensor({ name, dtype, shape }: Value): ExportedTensor {
  return { name, dtype, shape: shape.map(Number), ...roleOfTensor(name) };
}

function describeGraph({ name, purpose, path, tokenCount }: StaticGraph, graph: Graph): ExportedGraph {
  const isContrib = graph.nodes.some(({ op }) => op === "MatMulNBits" || op === "GatherBlockQuantized");
  return {
    name,
    file: `${name}.onnx`,
    purpose,
    path,
    tokenCount,
    opsets: { "": portableOpset, ...(isContrib && { "com.microsoft": 1 }) },
    inputs: graph.inputs.map(describeTensor),
    outputs: graph.outputs.map(describeTensor),
  };
}

function describeModel(
  source: ExportSource,
  policy: ExportManifest["policy"],
): Omit<BuiltExport["facts"], "graphs"> {
  const { parts, identity, dtype, eosTokenIds } = source;
  const { folder, config, adapter, context } = parts;
  const { geometry } = config;
  const { sinkTokens, windowTokens, segmentTokens } = context;
  const { layerCount, queryHeadCount, keyValueHeadCount, headSize, hiddenSize } = geometry;
  const remembers = policy === "paper";
  return {
    model: { name: folder.name, modelType: config.modelType, digest: identity.model, dtype },
    adapter: remembers && adapter !== undefined ? { name: adapter.name, digest: identity.adapter } : null,
    policy,
    context: { sinkTokens, windowTokens, segmentTokens, capacityTokens: localCapacityTokens(context) },
    sizes: {
      ...{ layerCount, queryHeadCount, keyValueHeadCount, headSize, hiddenSize },
      vocabularySize: config.vocabularySize,
    },
    attention: {
      kinds: geometry.kinds.map((kind) => ({
        inverseFrequencies: [...kind.inverseFrequencies],
        rotaryScale: kind.rotaryScale,
        windowTokens: Number.isFinite(kind.windowTokens) ? kind.windowTokens : null,
      })),
      layerKinds: geometry.layerKinds,
      memoryLayers: remembers ? memoryLayers(geometry) : [],
    },
    maskedValue: masked,
    tokens: { bos: config.bosTokenId ?? null, eos: [...eosTokenIds] },
    protocol: describeProtocol(remembers),
    roles: roleMeanings,
  };
}

/**
 * Builds an export; reads no weights yet.
 * @throws {@link UnsupportedError} for policies other than `paper` and `streaming`; {@link InvalidModelError} naming a tensor that does not fit.
 */
export function buildExport(source: ExportSource): BuiltExport {
  const { parts, tensors } = source;
  const name = exportablePolicy(parts);
  const { family, folder, config, policy, context } = parts;
  const inference = family.buildInferenceGraph(folder.name, config, tensors, policy);
  const statics = listStaticGraphs(inference, policy, context);
  const weights = planWeightFile(
    weightsFile,
    statics.map(({ graph }) => graph),
  );
  const models = new Map<string, Uint8Array>();
  const graphs = statics.map((item): ExportedGraph => {
    const graph = weights.relocate(item.graph);
    verifyGraph(graph);
    const described = describeGraph(item, graph);
    const options = { opset: portableOpset, withTypes: true } as const;
    models.set(
      described.file,
      graphToOnnx(graph, () => weightsFile, options),
    );
    return described;
  });
  return { models, weightsFile, weights, facts: { ...describeModel(source, name), graphs } };
}
