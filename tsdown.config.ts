import { defineConfig, type UserConfig } from "tsdown";
import manifest from "./package.json" with { type: "json" };

/**
 * dist/ mirrors src/, module by module: what one entry loads, another shares, and lazy imports stay lazy.
 * The entries are the files that package.json names under `exports` and `bin`: dist/x.js comes from src/x.ts.
 */
function entryOf(target: string): [name: string, source: string] {
  const name = target.replace(/^\.\/dist\//, "").replace(/\.js$/, "");
  return [name, `src/${name}.ts`];
}

const targets = [
  ...Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string" ? [] : [target.default],
  ),
  ...Object.values(manifest.bin),
  // Modules that threads begin with.
  "./dist/cli/base-thread.js",
];

const config: UserConfig = defineConfig({
  entry: Object.fromEntries(targets.map(entryOf)),
  format: "esm",
  platform: "neutral",
  // `await using` and other newer syntax is lowered; Node 20 and browsers of 2022 parse the result.
  target: ["node20", "es2022"],
  unbundle: true,
  fixedExtension: false,
  deps: { skipNodeModulesBundle: true, neverBundle: [/^node:/] },
  dts: { oxc: true },
  clean: true,
});

export default config;
