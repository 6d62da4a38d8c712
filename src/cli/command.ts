/**
 * What a command is.
 */

import type { OptionTable } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** Is what a command gets. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** The arguments after the command's name. */
  readonly argv: readonly string[];
  /** Is aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Does one thing that the command line offers. */
export interface Command {
  /** What comes after the command's name, as in `[prompt…] --model M`. */
  readonly usage: string;
  /** Says what the command does, in a sentence or a few. */
  readonly description: string;
  readonly options: OptionTable;
  /**
   * Runs; ends by returning, or by throwing what went wrong.
   * @throws the signal's reason after Ctrl-C, with everything told that the user should know.
   */
  run(context: CommandContext): Promise<void>;
}
