/**
 * Measures what the machine can do at best: ONNX Runtime's fastest product of a model's shapes and weight format,
 * and the rate at which all threads together read memory.
 *
 * The product has 512 rows, weights as the engine holds them (8 and 4 bits: MatMulNBits, accuracy level 4), and
 * gives one row back, so that nothing large is copied. Memory is searched for a byte that is not there.
 */

import { Worker } from "node:worker_threads";
import { GraphBuilder } from "../src/graph/builder.ts";
import type { Value } from "../src/graph/graph.ts";
import type { DecoderSizes } from "../src/models/decoder-tensors.ts";
import { createNodeRuntime } from "../src/runtime/node.ts";
import { hostTensor } from "../src/tensor/host-tensor.ts";
import { layerProducts, type WeightFormat } from "./decoder-arithmetic.ts";
import { median } from "./statistics.ts";

/** Says what to measure. */
export interface CeilingPlan {
  readonly shape: DecoderSizes;
  readonly format: WeightFormat;
  readonly threads: number;
  /** Rows of the product: T. */
  readonly rows: number;
  /** Bytes that each thread reads at a time. */
  readonly readBytes: number;
  readonly repeats: number;
}

/** Is what the machine can do at best. */
export interface CeilingSpeeds {
  readonly productFlops: number;
  readonly productShape: string;
  readonly readBytesPerSecond: number;
}

const blockSize = 32;

function writeProduct(
  b: GraphBuilder,
  x: Value,
  inner: number,
  columns: number,
  format: WeightFormat,
): Value {
  if (format === "f32") {
    const weights = new Float32Array(columns * inner).fill(0.01);
    return b.linear(x, b.constant("w", hostTensor("float32", [columns, inner], weights)));
  }
  const bits = format === "q8" ? 8 : 4;
  const blocks = inner / blockSize;
  const blockBytes = (blockSize * bits) / 8;
  const data = new Uint8Array(columns * blocks * blockBytes).fill(0x59);
  const scales = new Float32Array(columns * blocks).fill(0.01);
  const weights = [
    b.constant("data", hostTensor("uint8", [columns, blocks, blockBytes], data)),
    b.constant("scales", hostTensor("float32", [columns, blocks], scales)),
  ];
  return b.matMulNBits(x, weights, { bits, blockSize, innerSize: inner, accuracyLevel: 4 });
}

/** Returns the FLOP/s of one product, the median of several runs. */
async function measureProduct(plan: CeilingPlan, inner: number, columns: number): Promise<number> {
  const { rows, threads, format, repeats } = plan;
  const b = new GraphBuilder("product");
  const x = b.input("x", "float32", [rows, inner]);
  const last = b.constant("last", hostTensor("int64", [1], BigInt64Array.of(BigInt(rows - 1))));
  const y = b.gather(writeProduct(b, x, inner, columns, format), last);
  const graph = b.finish([b.named("y", y)]);
  await using session = await createNodeRuntime({ threads }).createSession(graph);
  const feeds = { x: hostTensor("float32", [rows, inner], new Float32Array(rows * inner).fill(0.5)) };
  const times: number[] = [];
  for (let run = 0; run < repeats + 2; run++) {
    const start = performance.now();
    await session.run(feeds);
    if (run >= 2) times.push(performance.now() - start);
  }
  return (2 * rows * inner * columns) / (median(times) / 1000);
}

const readerSource = `
const { parentPort, workerData } = require("node:worker_threads");
const bytes = Buffer.alloc(workerData, 1);
parentPort.postMessage("ready");
parentPort.on("message", () => parentPort.postMessage(bytes.indexOf(2)));
`;

/** Returns the bytes a second that all threads together read, the median of several reads. */
async function measureRead({ threads, readBytes, repeats }: CeilingPlan): Promise<number> {
  const workers = Array.from(
    { length: threads },
    () => new Worker(readerSource, { eval: true, workerData: readBytes }),
  );
  const answers = (): Promise<unknown> =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise((resolve, reject) => {
            worker.once("message", resolve);
            worker.once("error", reject);
          }),
      ),
    );
  await answers();
  const times: number[] = [];
  for (let run = 0; run < repeats; run++) {
    const done = answers();
    const start = performance.now();
    for (const worker of workers) worker.postMessage("read");
    await done;
    times.push(performance.now() - start);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return (threads * readBytes) / (median(times) / 1000);
}

/** Measures the machine. */
export async function measureCeiling(plan: CeilingPlan): Promise<CeilingSpeeds> {
  let best = { productFlops: 0, productShape: "" };
  for (const [inner, columns] of layerProducts(plan.shape)) {
    const productFlops = await measureProduct(plan, inner, columns);
    const productShape = `[${plan.rows}, ${inner}] x [${inner}, ${columns}]`;
    if (productFlops > best.productFlops) best = { productFlops, productShape };
  }
  return { ...best, readBytesPerSecond: await measureRead(plan) };
}
