import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Tests are grouped by what they need: see CONTRIBUTING.md. */
const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          // Modules are pure, so the tests of all files can share them: four times faster.
          isolate: false,
          include: ["src/**/*.test.ts"],
          exclude: ["src/**/*.runtime.test.ts", "src/**/*.weights.test.ts"],
        },
      },
      { test: { name: "runtime", include: ["src/**/*.runtime.test.ts"], testTimeout: 60_000 } },
      { test: { name: "weights", include: ["src/**/*.weights.test.ts"], testTimeout: 120_000 } },
      { test: { name: "package", include: ["test/package/**/*.test.ts"], testTimeout: 120_000 } },
    ],
  },
});

export default config;
