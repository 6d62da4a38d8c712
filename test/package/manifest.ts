/**
 * What package.json promises to those who install the package: its subpaths and its command.
 *
 * The tests here run against the built dist, by the package's own name, in a fresh Node process.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import manifest from "../../package.json" with { type: "json" };

const rootFolder: string = fileURLToPath(new URL("../..", import.meta.url));

/** Gives the version that the command line must print. */
export const version: string = manifest.version;

/** Gives the built file of each code subpath: `edgeinfinite/node` and `./dist/node.js`. */
export const subpaths: readonly {
  readonly specifier: string;
  readonly file: string;
  readonly types: string;
}[] = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === "string"
    ? []
    : [{ specifier: manifest.name + subpath.slice(1), file: target.default, types: target.types }],
);

/** Gives the file behind the `edgeinfinite` command. */
export const commandFile: string = manifest.bin.edgeinfinite;

/** Tells whether the build wrote a file that package.json names. */
export function isBuilt(file: string): boolean {
  return existsSync(new URL(file, new URL("../../", import.meta.url)));
}

/** Holds what a finished Node process left. */
export interface NodeResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs Node in the package's folder, without input. */
export function runNode(args: readonly string[]): NodeResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: rootFolder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}
