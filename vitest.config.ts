import { realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from "vitest/config";
import { hubCommands } from "./test/support/hub-commands.ts";

/** Quantised weights that tests make stay out of the user's cache. */
const env = { EDGEINFINITE_CACHE: join(tmpdir(), "edgeinfinite-test-weights") };

/** Real checkpoints and golden files, where there are any: see CONTRIBUTING.md. */
const shared = process.env.EDGEINFINITE_SHARED ?? resolve("..", "shared");

/** Debian's Chromium, quiet and without a GPU: WebGPU runs on SwiftShader, in software. */
const chromium = playwright({
  launchOptions: {
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  },
});

/** A project whose tests run in a page of Chromium that is served with these headers. */
function browserProject(
  name: string,
  headers: Record<string, string>,
  include = ["src/**/*.browser.test.ts"],
): TestProjectInlineConfiguration {
  return {
    // Bundled beforehand, ONNX Runtime would look for its binaries in the wrong place.
    optimizeDeps: {
      exclude: ["onnxruntime-web"],
      include: [
        "fast-check",
        "zod",
        "@noble/hashes/sha2.js",
        "@noble/hashes/utils.js",
        "@huggingface/jinja",
        "@huggingface/tokenizers",
        "pure-rand/generator/mersenne",
      ],
    },
    server: { headers, fs: { allow: [".", dirname(realpathSync("node_modules")), shared] } },
    test: {
      name,
      provide: { shared },
      include,
      testTimeout: 120_000,
      fileParallelism: false,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        commands: hubCommands,
        provider: chromium,
        instances: [{ browser: "chromium" }],
      },
    },
  };
}

/** Tests are grouped by what they need: see CONTRIBUTING.md. */
const config: ViteUserConfig = defineConfig({
  test: {
    // A worker a core: by default vitest leaves one core idle, which is half of a small machine.
    maxWorkers: "100%",
    projects: [
      {
        test: {
          name: "unit",
          env,
          // Modules are pure, so the tests of all files can share them: four times faster.
          isolate: false,
          include: ["src/**/*.test.ts", "bench/*.test.ts"],
          exclude: ["{src,bench}/**/*.{runtime,slow,weights,browser}.test.ts"],
        },
      },
      {
        test: {
          name: "runtime",
          env,
          include: ["src/**/*.runtime.test.ts", "bench/*.runtime.test.ts"],
          testTimeout: 60_000,
        },
      },
      { test: { name: "slow", env, include: ["src/**/*.slow.test.ts"], testTimeout: 120_000 } },
      { test: { name: "weights", env, include: ["src/**/*.weights.test.ts"], testTimeout: 120_000 } },
      { test: { name: "peers", env, include: ["bench/peers/*.test.ts"], testTimeout: 120_000 } },
      { test: { name: "package", include: ["test/package/**/*.test.ts"], testTimeout: 120_000 } },
      browserProject("browser", {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
      }),
      // What isolation makes a difference to.
      browserProject("browser-plain", {}, ["src/{runtime,engine}/web.browser.test.ts"]),
    ],
  },
});

export default config;
