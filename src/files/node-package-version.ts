/**
 * The version of this package, from the package.json beside it.
 */

import { readFileSync } from "node:fs";

/** Returns the version, such as `0.1.0`. */
export function readPackageVersion(): string {
  // dist/files/ lies as deep as src/files/.
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const hasVersion = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return hasVersion ? String(manifest.version) : "unknown";
}
