#!/usr/bin/env node
/**
 * The `edgeinfinite` command.
 */

import { runCommandLine } from "./command-line.ts";
import { openProcessTerminal } from "./node-terminal.ts";

const exitCode: number = await runCommandLine(process.argv.slice(2), openProcessTerminal());
// All output has been waited for; what stdin still holds must not keep the process.
process.exit(exitCode);
