import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Tests are grouped by what they need: see CONTRIBUTING.md. */
/** Quantised weights that tests make stay out of the user's cache. */
const env = { EDGEINFINITE_CACHE: join(tmpdir(), "edgeinfinite-test-weights") };

const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          env,
          // Modules are pure, so the tests of all files can share them: four times faster.
          isolate: false,
          include: ["src/**/*.test.ts"],
          exclude: ["src/**/*.runtime.test.ts", "src/**/*.weights.test.ts"],
        },
      },
      { test: { name: "runtime", env, include: ["src/**/*.runtime.test.ts"], testTimeout: 60_000 } },
      { test: { name: "weights", env, include: ["src/**/*.weights.test.ts"], testTimeout: 120_000 } },
      { test: { name: "package", include: ["test/package/**/*.test.ts"], testTimeout: 120_000 } },
    ],
  },
});

export default config;
