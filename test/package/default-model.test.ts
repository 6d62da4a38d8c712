import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { runNode } from "./manifest.ts";

describe("the model of the package", () => {
  it("is among the files that are published", () => {
    expect(manifest.files).toContain("models/edgeinfinite-3m");
  });

  it("is found by the built package, and answers", () => {
    const script = `
      const { loadModel } = await import("edgeinfinite/node");
      const model = await loadModel("default", { threads: 1 });
      const session = model.createSession();
      let tokens = 0;
      for await (const event of session.chat([{ role: "user", content: "Who?" }], { maxNewTokens: 3 }))
        if (event.type === "finish") tokens = event.usage.completionTokens;
      console.log(model.config.geometry.layerCount, tokens > 0);
      await model.dispose();`;
    expect(runNode(["--input-type=module", "-e", script])).toEqual({
      status: 0,
      stdout: "5 true\n",
      stderr: "",
    });
  });
});
