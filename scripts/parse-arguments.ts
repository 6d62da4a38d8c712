/**
 * Arguments of the scripts.
 */

import { type ParseArgsConfig, parseArgs } from "node:util";

/** Parses the arguments of this process; tells what is wrong and how the script is used, and ends with status 2. */
export function parseArguments<Config extends ParseArgsConfig>(
  config: Config,
  usage: string,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs<Config>(config);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return exitWithUsage(usage);
  }
}

/** Tells how the script is used, and ends the process with status 2. */
export function exitWithUsage(usage: string): never {
  console.error(`usage: ${usage}`);
  process.exit(2);
}
