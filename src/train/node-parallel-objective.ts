/**
 * An objective computed by several threads, each with a copy of its own: every one takes the next document that is
 * left to it, and the sums are added in the order of the threads, so that the same run gives the same bits.
 *
 * Weights go to the threads, and sums come back, through shared memory. It pays for small models, whose operators
 * are too short to be cut into parts.
 */

import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { InternalError } from "../errors.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import type { DocumentLoss, Objective } from "./objective.ts";
import { addScaled, type NamedArrays } from "./parameters.ts";

/** Names arrays that lie one behind the other in shared memory. */
type Layout = readonly (readonly [name: string, length: number])[];

/** Is what a thread is started with. */
interface ThreadData<Setup> {
  readonly setup: Setup;
  readonly layout: Layout;
  readonly weights: SharedArrayBuffer;
  readonly sums: SharedArrayBuffer;
  /** Holds one int32: not 0 ends a request behind the document that is under way. */
  readonly stop: SharedArrayBuffer;
}

/** Asks a thread for the losses of documents, and their gradients in its sums. */
interface Request {
  readonly step: number;
  readonly documents: readonly TrainingDocument[];
}

type Reply = { readonly losses: readonly DocumentLoss[] } | { readonly error: unknown };

function allocate(layout: Layout): SharedArrayBuffer {
  const count = layout.reduce((sum, [, length]) => sum + length, 0);
  return new SharedArrayBuffer(count * Float32Array.BYTES_PER_ELEMENT);
}

function viewArrays(layout: Layout, buffer: SharedArrayBuffer): Map<string, Float32Array> {
  let offset = 0;
  return new Map(
    layout.map(([name, length]) => {
      const view = new Float32Array(buffer, offset, length);
      offset += view.byteLength;
      return [name, view];
    }),
  );
}

function copyArrays(from: NamedArrays, to: NamedArrays): void {
  for (const [name, array] of to) array.set(from.get(name) ?? []);
}

/** Says what is computed by threads. */
export interface ParallelOptions<Setup> {
  /** What is trained, in this thread; changed in place by whoever trains. */
  readonly parameters: NamedArrays;
  readonly lengthTokens: Objective["lengthTokens"];
  readonly threadCount: number;
  /** The module that calls {@link serveObjective}. */
  readonly module: URL;
  /** What the module makes its objective from; copied. */
  readonly setup: Setup;
}

/** Is a thread, from outside. */
class ObjectiveThread {
  readonly sums: NamedArrays;
  readonly #worker: Worker;
  #failure: Error | undefined;
  #settle: ((reply: Reply) => void) | undefined;

  constructor(module: URL, data: Omit<ThreadData<unknown>, "sums">) {
    const sums = allocate(data.layout);
    this.sums = viewArrays(data.layout, sums);
    this.#worker = new Worker(module, { workerData: { ...data, sums } });
    this.#worker.on("message", (reply: Reply) => this.#settle?.(reply));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", (code) => this.#fail(new Error(`the thread ended with code ${code}`)));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#settle?.({ error: this.#failure });
  }

  async compute(request: Request): Promise<readonly DocumentLoss[]> {
    const reply = await new Promise<Reply>((resolve) => {
      if (this.#failure) return resolve({ error: this.#failure });
      this.#settle = resolve;
      this.#worker.postMessage(request);
    });
    if ("losses" in reply) return reply.losses;
    throw reply.error;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Runs work during which an abort sets a flag that threads look at. @throws the signal's reason on abort. */
async function stopOnAbort<Result>(
  flag: Int32Array<SharedArrayBuffer>,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  signal?.throwIfAborted();
  Atomics.store(flag, 0, 0);
  const stop = (): void => {
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  };
  signal?.addEventListener("abort", stop);
  try {
    const result = await work();
    signal?.throwIfAborted();
    return result;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Creates an objective that threads compute. Its single `accumulate` takes one of them. */
export function createParallelObjective<Setup>(options: ParallelOptions<Setup>): Objective {
  const { parameters, lengthTokens, threadCount, module, setup } = options;
  const layout: Layout = [...parameters].map(([name, { length }]) => [name, length]);
  const weights = allocate(layout);
  const stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const flag = new Int32Array(stop);
  const shared = viewArrays(layout, weights);
  const threads = Array.from(
    { length: threadCount },
    () => new ObjectiveThread(module, { setup, layout, weights, stop }),
  );
  const accumulateAll: NonNullable<Objective["accumulateAll"]> = async (documents, sums, step, signal) => {
    const parts = await stopOnAbort(flag, signal, () => {
      copyArrays(parameters, shared);
      const ofLane = (lane: number) => documents.filter((_, index) => index % threadCount === lane);
      return Promise.all(threads.map((thread, lane) => thread.compute({ step, documents: ofLane(lane) })));
    });
    for (const thread of threads) addScaled(sums, thread.sums, 1);
    // In the order of the documents, whatever thread they went to.
    return documents.map((_, index) => {
      const loss = parts[index % threadCount]?.[Math.floor(index / threadCount)];
      if (loss !== undefined) return loss;
      throw new InternalError({ where: "parallel objective", what: "a document has no loss", got: index });
    });
  };
  return {
    parameters,
    lengthTokens,
    accumulateAll,
    async accumulate(document, sums, step, signal) {
      const [loss] = await accumulateAll([document], sums, step, signal);
      if (loss !== undefined) return loss;
      throw new InternalError({ where: "parallel objective", what: "a document has no loss" });
    },
    async [Symbol.asyncDispose]() {
      for (const thread of threads) await thread.close();
    },
  };
}

/**
 * Serves an objective in a thread that {@link createParallelObjective} has started.
 * @param make - makes it from the setup and the weights, arrays of its own that follow those of the main thread.
 */
export async function serveObjective<Setup>(
  make: (setup: Setup, weights: NamedArrays) => Promise<Objective>,
): Promise<void> {
  if (isMainThread || parentPort === null)
    throw new InternalError({ where: "serveObjective", what: "this is no thread of a training" });
  const port = parentPort;
  const { setup, layout, weights, sums, stop } = workerData as ThreadData<Setup>;
  const flag = new Int32Array(stop);
  const shared = viewArrays(layout, weights);
  const own = new Map(layout.map(([name, length]) => [name, new Float32Array(length)]));
  const ownSums = viewArrays(layout, sums);
  const objective = await make(setup, own);
  const compute = async ({ documents, step }: Request): Promise<Reply> => {
    try {
      copyArrays(shared, own);
      for (const sum of ownSums.values()) sum.fill(0);
      const losses: DocumentLoss[] = [];
      for (const document of documents) {
        // What is computed so far is thrown away: the step is taken as a whole or not.
        if (Atomics.load(flag, 0) !== 0) break;
        losses.push(await objective.accumulate(document, ownSums, step));
      }
      return { losses };
    } catch (error) {
      return { error };
    }
  };
  port.on("message", (request: Request) => {
    void compute(request).then((reply) => port.postMessage(reply));
  });
}
