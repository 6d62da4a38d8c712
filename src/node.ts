/**
 * EdgeInfinite in Node: models from disk or the hub, on ONNX Runtime.
 *
 * @example
 * import { loadModel } from "edgeinfinite/node";
 * await using model = await loadModel("HuggingFaceTB/SmolLM2-135M-Instruct");
 */

export type {
  ExportedAttentionKind,
  ExportedGraph,
  ExportedTensor,
  ExportManifest,
} from "./engine/export/manifest.ts";
export { type ExportOptions, exportModel, readExportManifest } from "./engine/export/node-export.ts";
export { estimateMemory, loadModel } from "./engine/node.ts";
export { downloadHubModel } from "./files/node-hub-download.ts";
export { openNodeModelFolder } from "./files/node-model-folder.ts";
export * from "./index.ts";
