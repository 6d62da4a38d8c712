/**
 * Holds exported graphs to onnx's own checker, an implementation by others (Debian's python3-onnx has it).
 *
 * Strict shape inference compares every shape that is written down with its own. It knows nothing of com.microsoft:
 * of those operators it checks only what surrounds them.
 */

import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tinyContext } from "../../../test/support/tiny-sessions.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../../testing/tiny-model.ts";
import { exportModel } from "./node-export.ts";

/** Checks every model named, and prints for each the number of nodes of each domain and unknown shapes. */
const script = `
import json, sys, onnx
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    domains = {}
    for node in model.graph.node:
        domains[node.domain] = domains.get(node.domain, 0) + 1
    infos = list(inferred.graph.value_info) + list(model.graph.input) + list(model.graph.output)
    open_dims = [i.name for i in infos for d in i.type.tensor_type.shape.dim if not d.HasField("dim_value")]
    print(json.dumps({
        "opsets": {o.domain: o.version for o in model.opset_import},
        "irVersion": model.ir_version,
        "domains": domains,
        "openDims": open_dims,
        "controlFlow": [n.op_type for n in model.graph.node if n.op_type in ("If", "Loop", "Scan")],
    }))
`;

/** Debian's packages belong to the system's own Python. */
const python = "/usr/bin/python3";

function hasOnnx(): boolean {
  try {
    execFileSync(python, ["-c", "import onnx"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

interface Findings {
  readonly opsets: Record<string, number>;
  readonly irVersion: number;
  readonly domains: Record<string, number>;
  readonly openDims: readonly string[];
  readonly controlFlow: readonly string[];
}

const isThere = hasOnnx();
const test = isThere ? it : it.skip;
const note = isThere ? "" : ` (skipped: ${python} cannot import onnx; apt-get install python3-onnx)`;

let root = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "edgeinfinite-checker-"));
});

afterAll(() => rm(root, { recursive: true }));

describe("exported graphs, by onnx.checker", () => {
  for (const modelType of ["llama", "gemma3_text", "gpt_neox"] as const) {
    for (const dtype of ["f32", "q8"] as const) {
      test(`are clean for ${modelType} in ${dtype}${note}`, async () => {
        const folder = join(root, `${modelType}-${dtype}`);
        const { graphs } = await exportModel(createTinyModelFolder({ modelType }), folder, {
          adapter: createTinyAdapterFolder(modelType === "gemma3_text" ? { gatedLayers: [1] } : {}),
          context: tinyContext,
          dtype,
        });
        const files = graphs.map(({ file }) => join(folder, file));
        const printed = execFileSync(python, ["-c", script, ...files], { encoding: "utf8" });
        const found: Findings[] = printed
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line));
        expect(found).toHaveLength(5);
        found.forEach(({ opsets, irVersion, domains, openDims, controlFlow }, index) => {
          expect({ irVersion, opsets }).toEqual({ irVersion: 8, opsets: graphs[index]?.opsets });
          expect({ openDims, controlFlow }).toEqual({ openDims: [], controlFlow: [] });
          expect(Object.keys(domains)).toEqual(
            expect.arrayContaining(dtype === "f32" || index === 4 ? [""] : ["", "com.microsoft"]),
          );
          if (dtype === "f32") expect(Object.keys(domains)).toEqual([""]);
        });
      });
    }
  }
});
