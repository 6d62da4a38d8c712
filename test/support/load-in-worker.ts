/**
 * A worker that loads a model with what it finds stored, and answers with the tokens that it generates.
 */

import { loadModel } from "../../src/engine/web.ts";
import { openOpfsStore } from "../../src/files/opfs-store.ts";
import { openStoredHubFolder } from "../../src/files/stored-folder.ts";
import { hubModelId } from "./hub-model-id.ts";

async function generate(endpoint: string): Promise<number[]> {
  const store = await openOpfsStore();
  if (store === undefined) throw new Error("a worker has no private file system");
  const folder = openStoredHubFolder(store, hubModelId, { endpoint });
  await using model = await loadModel(folder, { threads: 1, dtype: "q8" });
  const session = model.createSession();
  await session.append([3, 4, 5]);
  const ids: number[] = [];
  for await (const event of session.generate({ maxNewTokens: 5, temperature: 0, ignoreEos: true })) {
    if (event.type === "token") ids.push(event.id);
  }
  return ids;
}

addEventListener("message", ({ data }: MessageEvent<string>) => {
  generate(data).then(
    (ids) => postMessage({ ids }),
    (error: unknown) => postMessage({ error: String(error) }),
  );
});
