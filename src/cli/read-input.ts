/**
 * Reads an input into a session: shows progress, measures, and checks the numbers that come out.
 */

import type { Session } from "../engine/session.ts";
import { InternalError } from "../errors.ts";
import type { InputText } from "./input-text.ts";
import type { OutputMode } from "./open-model.ts";
import { formatReadingProgress, StatusLine } from "./progress.ts";
import type { ReadingMeter } from "./reading-meter.ts";
import type { Terminal } from "./terminal.ts";

/** Objects about progress are printed at most this often. */
const jsonSeconds = 1;

/** Refuses numbers that are none: what follows them would be noise. @throws {@link InternalError} */
export function assertFiniteLogits({ logits, lengthTokens }: Session): void {
  if (logits?.every(Number.isFinite) ?? true) return;
  throw new InternalError({
    where: "logits",
    what: `not all are finite after ${lengthTokens} tokens`,
    got: logits?.find((logit) => !Number.isFinite(logit)),
    expected: "finite numbers",
  });
}

/**
 * Reads an input. What was read before an error or an abort stays in the session and in the meter.
 * @throws as `append` does, and {@link InternalError} when logits are not finite.
 */
export async function readInput(
  session: Session,
  input: InputText,
  meter: ReadingMeter,
  context: { readonly terminal: Terminal; readonly signal: AbortSignal; readonly mode: OutputMode },
): Promise<void> {
  const { terminal, signal, mode } = context;
  const status = new StatusLine(terminal.stderr, !mode.quiet);
  const start = performance.now();
  let printedSeconds = 0;
  const onProgress = ({ readTokens }: { readonly readTokens: number }): void => {
    const seconds = (performance.now() - start) / 1000;
    const { stateBytes } = session;
    const sample = { readTokens, seconds, stateBytes, residentBytes: terminal.residentBytes() };
    meter.note(sample);
    assertFiniteLogits(session);
    const { totalBytes, readBytes } = input;
    const share = totalBytes === undefined || totalBytes === 0 ? undefined : readBytes / totalBytes;
    const progress = { ...sample, share, tokensPerSecond: readTokens / seconds };
    status.show((columns) => formatReadingProgress(progress, columns));
    if (!mode.json || mode.quiet || seconds - printedSeconds < jsonSeconds) return;
    printedSeconds = seconds;
    void terminal.stdout.json({
      type: "progress",
      ...progress,
      readBytes,
      totalBytes,
      lengthTokens: session.lengthTokens,
    });
  };
  try {
    await session.append(input.stream(signal), { signal, onProgress });
  } finally {
    await status.clear();
  }
}
