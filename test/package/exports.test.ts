import { describe, expect, it } from "vitest";
import { isBuilt, runNode, subpaths } from "./manifest.ts";

/** Prints the number of exported names, so that an empty module shows. */
function importScript(specifier: string): string {
  return `console.log(Object.keys(await import(${JSON.stringify(specifier)})).length)`;
}

/**
 * Reports every Node module and onnxruntime-node that the package's code loads. Packages made for both
 * platforms ask for Node's modules only when they find themselves in Node: onnxruntime-web does.
 */
const reportHook = `
  const bothPlatforms = /\\/node_modules\\/onnxruntime-web\\//;
  export async function resolve(specifier, context, next) {
    const result = await next(specifier, context);
    const isNode = result.url.startsWith("node:") || /\\/node_modules\\/onnxruntime-node\\//.test(result.url);
    if (isNode && context.parentURL && !bothPlatforms.test(context.parentURL)) {
      throw new Error("forbidden in a browser: " + specifier + " from " + context.parentURL);
    }
    return result;
  }`;

const dataUrl = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;

/** Installs the hook; written as a module to preload. */
const preload = dataUrl(
  `import { register } from "node:module"; register(${JSON.stringify(dataUrl(reportHook))});`,
);

describe.each(subpaths)("$specifier", ({ specifier, file, types }) => {
  it("was built, with its types", () => {
    expect({ [file]: isBuilt(file), [types]: isBuilt(types) }, "run `npm run build` first").toEqual({
      [file]: true,
      [types]: true,
    });
  });

  it("is imported by plain Node, prints nothing and exports something", () => {
    const { status, stdout, stderr } = runNode(["--input-type=module", "-e", importScript(specifier)]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^[1-9]\d*\n$/);
  });
});

describe.each(["edgeinfinite", "edgeinfinite/web", "edgeinfinite/graph"])("%s in a browser", (specifier) => {
  it("loads neither Node's modules nor onnxruntime-node", () => {
    const { status, stderr } = runNode([
      "--import",
      preload,
      "--input-type=module",
      "-e",
      importScript(specifier),
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});

describe("the check of browser entries", () => {
  it("refuses edgeinfinite/node, which is for Node only", () => {
    const { status, stderr } = runNode([
      ...["--import", preload],
      ...["--input-type=module", "-e", importScript("edgeinfinite/node")],
    ]);
    expect(stderr).toContain("forbidden in a browser");
    expect(status).not.toBe(0);
  });
});
