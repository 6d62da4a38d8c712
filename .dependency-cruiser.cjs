/**
 * Who may import whom. The layer table is the one of CONTRIBUTING.md; every layer rule is derived from it.
 * Type-only imports count as imports, dynamic ones too. Run with `npm run check:layers`.
 */

/** Lowest first. Folders of one level do not import each other. */
const layers = [
  ["errors"],
  ["tensor"],
  ["onnx", "files"],
  ["graph", "text"],
  ["runtime", "autodiff"],
  ["memory"],
  ["models"],
  ["engine", "train"],
  ["server", "eval", "testing"],
  ["cli"],
];

const testFile = "\\.test\\.ts$";
/** What a test may use besides what its layer may. */
const testSupport = ["^src/testing/", "^test/support/"];
/** Files named node*.ts (server/node.ts too) and the command line run in Node only. */
const nodeOnly = ["(^|/)node[^/]*\\.ts$", "^src/cli/"];
/** The package's entries: files directly in src/, above every layer but the command line. */
const entryFile = "^src/(?!errors\\.)[^/]+\\.ts$";
/** Entries that promise to load in a browser. */
const browserEntry = "^src/(index|web|graph/index)\\.ts$";

/** Matches a layer's files: all of src/name/, or src/name.ts and its test. */
const layerPath = (name) => `^src/${name}(/|(\\.test)?\\.ts$)`;

/** Two rules per folder: what its code may import, and what its tests may. */
function layerRules(name, lowerNames) {
  const allowed = [name, ...lowerNames].map(layerPath);
  const lower = lowerNames.join(", ") || "nothing";
  const to = (extra) => ({ path: "^(src|test|bench|scripts|examples)/", pathNot: [...allowed, ...extra] });
  return [
    {
      name: `layer-${name}`,
      comment: `${name} may import itself and what lies lower: ${lower}.`,
      severity: "error",
      from: { path: layerPath(name), pathNot: testFile },
      to: to([]),
    },
    {
      name: `layer-${name}-tests`,
      comment: `Tests of ${name} may import it, what lies lower (${lower}), src/testing and test/support.`,
      severity: "error",
      from: { path: layerPath(name), pathNot: "(?<!\\.test)\\.ts$" },
      to: to(testSupport),
    },
  ];
}

const layeringRules = layers.flatMap((names, level) => {
  const lowerNames = layers.slice(0, level).flat();
  return names.flatMap((name) => layerRules(name, lowerNames));
});

const allFolders = layers.flat().map(layerPath);

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    ...layeringRules,
    {
      name: "known-folder",
      comment: "Every file in src/ belongs to a layer or is an entry: add a new folder to the layer table.",
      severity: "error",
      from: { path: "^src/", pathNot: [...allFolders, entryFile] },
      to: {},
    },
    {
      name: "entries",
      comment: "An entry may import the layers, not the command line.",
      severity: "error",
      from: { path: entryFile },
      to: { path: ["^src/cli/", "^(test|bench|scripts|examples)/"] },
    },
    {
      name: "tests-are-leaves",
      comment: "Nothing imports a test.",
      severity: "error",
      from: {},
      to: { path: testFile },
    },
    {
      name: "no-cycles",
      comment: "Modules do not import each other in a circle, not even for types.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "onnxruntime-node",
      comment: "onnxruntime-node is imported in src/runtime/node.ts only.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/runtime/node\\.ts$", testFile] },
      to: { path: "(^|/)onnxruntime-node(/|$)" },
    },
    {
      name: "onnxruntime-web",
      comment: "onnxruntime-web is imported in src/runtime/web.ts only.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/runtime/web\\.ts$", testFile] },
      to: { path: "(^|/)onnxruntime-web(/|$)" },
    },
    {
      name: "node-builtins",
      comment: "Node's own modules are imported in files named node*.ts and in src/cli only.",
      severity: "error",
      from: { path: "^src/", pathNot: [...nodeOnly, testFile] },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "browser-entries",
      comment:
        "What a browser loads reaches neither Node's modules nor onnxruntime-node, however indirectly.",
      severity: "error",
      from: { path: browserEntry },
      to: { reachable: true, path: [...nodeOnly, "(^|/)onnxruntime-node(/|$)"] },
    },
    {
      name: "no-dev-dependencies",
      comment: "The published code imports dependencies, not devDependencies.",
      severity: "error",
      from: { path: "^src/", pathNot: testFile },
      to: { dependencyTypes: ["npm-dev"] },
    },
    {
      name: "declared-dependencies",
      comment: "A package that is imported is declared in package.json.",
      severity: "error",
      from: { path: "^(src|test)/" },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "resolvable",
      comment: "Every import leads to a file.",
      severity: "error",
      from: { path: "^(src|test)/" },
      // The built package's own name is for test/package, which asks Node to resolve it.
      to: { couldNotResolve: true, pathNot: "^edgeinfinite(/|$)" },
    },
    {
      name: "no-orphans",
      comment: "A module that imports nothing and that nothing imports is dead.",
      severity: "error",
      from: { orphan: true, path: "^src/", pathNot: [entryFile, "\\.d\\.ts$"] },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "node", "default"],
      extensions: [".ts", ".js", ".d.ts"],
    },
  },
};
