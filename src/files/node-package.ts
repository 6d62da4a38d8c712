/**
 * This package's folder, and the version that its package.json says.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Returns the path of a file or folder of this package. */
export function packagePath(path: string): string {
  // dist/files/ lies as deep as src/files/.
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/** Returns the version, such as `0.1.0`. */
export function readPackageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(packagePath("package.json"), "utf8"));
  const hasVersion = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return hasVersion ? String(manifest.version) : "unknown";
}
