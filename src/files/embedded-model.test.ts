import { describe, expect, it } from "vitest";
import { openEmbeddedModel } from "./embedded-model.ts";
import { type ModelFolder, makeModelFolder, missingFileError } from "./model-folder.ts";

/** Opens folders of a package that has these files. */
function packageWith(...files: readonly string[]): (path: string, file?: string) => ModelFolder {
  return (path, file) =>
    makeModelFolder({
      name: path,
      file,
      has: async (name) => files.includes(`${path}/${name}`),
      open: async (name) => {
        throw missingFileError(path, name);
      },
    });
}

const model = "models/edgeinfinite-3m/edgeinfinite-3m-q8_0.gguf";
const adapter = (name: string) => `models/edgeinfinite-3m/${name}/adapter_config.json`;

describe("openEmbeddedModel", () => {
  it("finds the model, and its adapters in the order of what they can do", async () => {
    const folder = await openEmbeddedModel(packageWith(adapter("paper"), model, adapter("plus")));
    expect([folder.name, folder.file]).toEqual(["default", "edgeinfinite-3m-q8_0.gguf"]);
    const adapters = [...(folder.adapters ?? [])].map(([name, { name: path }]) => [name, path]);
    expect(adapters).toEqual([
      ["plus", "models/edgeinfinite-3m/plus"],
      ["paper", "models/edgeinfinite-3m/paper"],
    ]);
  });

  it("does without adapters that are not there", async () => {
    expect([...((await openEmbeddedModel(packageWith(model))).adapters?.keys() ?? [])]).toEqual([]);
    const one = await openEmbeddedModel(packageWith(model, adapter("paper")));
    expect([...(one.adapters?.keys() ?? [])]).toEqual(["paper"]);
  });

  it("says what to do when the package lacks the model", async () => {
    await expect(openEmbeddedModel(packageWith())).rejects.toThrow(
      /the model that comes with this package is not there.*Install the package again/,
    );
  });
});
